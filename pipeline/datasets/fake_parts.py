"""Sets in which words were changed: fake in some seconds, in the picture, the voice or both."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.datasets import folders, sound_alone
from pipeline.datasets.base import REAL_METHOD, Rejected, Source, Video
from pipeline.datasets.lists import CrossCheck

_DEPTH = 8


@dataclass(frozen=True, slots=True)
class SaidOfVideo:
    """What the metadata say of one video."""

    file: str
    """Below a root; "" where that is not said."""
    split: str = ""
    video_fake: bool = False
    audio_fake: bool = False
    parts: object = None
    """[[start, end], …] in s, in which its picture is fake; checked here."""
    method: str = ""
    """Of its picture; of its voice where that alone is fake."""
    scene: str = ""
    """What it shares with its real and all other fakes of that."""
    identity: str = ""
    group: str = ""
    """What must not be in two splits, where no person is known; else the scene is that."""
    problem: tuple[str, str] | None = None
    """Reason and detail why it cannot be used, whatever else is said."""


def file_name(row: Mapping[str, Any]) -> str:
    """The path in an entry of the metadata; "" where it is no path below a folder."""
    name = row.get("file")
    parts = name.split("/") if isinstance(name, str) else []
    return "/".join(parts) if len(parts) > 1 and not {"", "..", "."} & set(parts) else ""


def videos(
    source: Source, said: Iterable[SaidOfVideo], listed_in: str, levels: int = 1
) -> Iterator[Video | Rejected]:
    """Rows of what metadata and folders have in common, and rejects of the rest.

    Args:
        source: the dataset.
        said: one per video.
        listed_in: what messages call the metadata.
        levels: so many folders of a path are one part; a part that is absent was not downloaded.
    """
    listed: dict[str, SaidOfVideo] = {}
    for number, one in enumerate(said, 1):
        if not one.file:
            path = source.path(0, f"{listed_in}#{number}")
            yield Rejected(path, "inconsistent", f"entry {number} names no file in a folder")
        elif listed.setdefault(one.file, one) is not one:
            path = source.path(0, one.file)
            yield Rejected(path, "duplicate", f"{listed_in} has it twice; the first entry counts")
    check = CrossCheck(listed, ("inconsistent", f"not in {listed_in}"))
    parts = sorted({_part(key, levels) for key in listed})
    there: dict[str, int] = {}
    for index, root in enumerate(source.roots):
        for part in parts:
            if (root / part).is_dir():
                there.setdefault(part, index)
            for below in folders.files(root / part, _DEPTH):
                key = f"{part}/{below}"
                path = source.path(index, key)
                if rejected := check.reject(path, key, key):
                    yield rejected
                else:
                    yield _video(source, f"{root}/{key}", path, listed[key])
    for key, _ in check.missing():
        if (index := there.get(_part(key, levels), -1)) >= 0:
            yield Rejected(source.path(index, key), "missing", f"listed in {listed_in}")


def _part(key: str, levels: int) -> str:
    return "/".join(key.split("/")[:-1][:levels])


def _video(source: Source, file: str, path: str, said: SaidOfVideo) -> Video | Rejected:
    if said.problem:
        return Rejected(path, *said.problem)
    try:
        segments_s = _seconds(said.parts) if said.video_fake else ()
    except (TypeError, ValueError):
        detail = f"its fake parts are {said.parts!r}, but must be pairs of start and end in s"
        return Rejected(path, "inconsistent", detail[:200])
    scene, identity = source.unique(said.scene), source.unique(said.identity)
    video = Video(
        file=file,
        path=path,
        split=said.split,
        label=int(said.video_fake),
        method=said.method if said.video_fake or said.audio_fake else REAL_METHOD,
        audio_fake=int(said.audio_fake),
        identity=identity,
        target_id=identity if said.video_fake else "",
        pair_id=scene,
        leak_group=source.unique(said.group) or identity or scene,
        segments_s=segments_s,
    )
    return sound_alone.checked(source, video)


def _seconds(parts: object) -> tuple[float, ...]:
    """Start, end, start, end …; raises ValueError or TypeError for no part, or a bad one."""
    if not isinstance(parts, list) or not parts:
        raise ValueError
    found: list[float] = []
    for start, end in parts:
        if not 0 <= start < end:
            raise ValueError
        found += (float(start), float(end))
    return tuple(found)
