"""DeepSpeak 1.1 and 2: people who speak into their own cameras, and several engines' fakes of them.

Rules:

- ``87-0.mp4`` is recording 0 of person 87.
- A fake of 1.1 says all in its name: ``<engine>--<source>-<target>--<recordings>--<n>.mp4``. One of
  2 is described in annotations-fake.csv. The engine is the method.
- annotations-split-def.csv has the split of each person; a fake is where its target is. There is no
  val.
- Face swaps (facefusion) show the source, the other engines the target.
- The voice is known to be fake where annotations-fake.csv names who made it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from faceshards.fields import SPLITS
from pipeline.datasets import donors, folders, lists
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video, wrong_root

SPLIT_LIST = "annotations-split-def.csv"
FAKE_LIST = "annotations-fake.csv"
VOICES = ("elevenlabs", "playht", "speechify")
_SWAP = "facefusion"
_REAL = re.compile(r"(\d+)-(\d+)", re.ASCII)
_FAKE = re.compile(r"(.+?)--(\d+)-(\d+)--(\d+)-(\d+)--\d+", re.ASCII)
_REMEDY = "Take the official file."
_DEPTH = 6


@dataclass(frozen=True)
class _Made:
    """How a fake was made."""

    engine: str
    target: str
    donor: str
    recording: str
    """Of the target."""
    audio_fake: int = -1


def _read(source: Source) -> Iterator[Video | Rejected]:
    split_list = lists.find(source, SPLIT_LIST, "in which split each person is")
    rows = lists.read_csv(source, split_list, ("identity", "split"), _REMEDY)
    split_of = {row["identity"]: row["split"].lower() for _, row in rows}
    described = _described(source)
    seen: set[str] = set()
    for index, root in enumerate(source.roots):
        found = [name for name in folders.files(root, _DEPTH) if folders.is_video(name)]
        if not found:
            raise wrong_root(source, root, ADAPTER)
        for relative in found:
            path, stem = source.path(index, relative), folders.stem(relative)
            if stem in seen:
                yield Rejected(path, "duplicate", f"{stem} is there already")
                continue
            seen.add(stem)
            yield _video(source, f"{root}/{relative}", path, stem, described, split_of)
    for stem in described:
        if stem not in seen:
            yield Rejected(source.path(0, f"{stem}.mp4"), "missing", f"listed in {FAKE_LIST}")


def _described(source: Source) -> dict[str, _Made]:
    """What annotations-fake.csv says of each fake; nothing where there is no such file."""
    if not any((root / FAKE_LIST).is_file() for root in source.roots):
        return {}
    needs = ("video-file", "engine", "identity-target", "identity-source", "recording-target")
    file = lists.find(source, FAKE_LIST, "how each fake was made")
    return {
        folders.stem(row["video-file"]): _Made(
            row["engine"],
            row["identity-target"],
            row["identity-source"],
            row["recording-target"],
            1 if row.get("audio-config", "").lower() in VOICES else -1,
        )
        for _, row in lists.read_csv(source, file, needs, _REMEDY)
    }


def _video(
    source: Source,
    file: str,
    path: str,
    stem: str,
    described: Mapping[str, _Made],
    split_of: Mapping[str, str],
) -> Video | Rejected:
    made = described.get(stem)
    if name := _FAKE.fullmatch(stem):
        made = made or _Made(name[1], name[3], name[2], name[5])
    name = _REAL.fullmatch(stem)
    if made is None and name is None:
        detail = f"neither the name of a real, such as 87-0, nor of a fake; nor in {FAKE_LIST}"
        return Rejected(path, "unknown_label", detail)
    person = made.target if made else name[1] if name else ""
    recording = made.recording if made else name[2] if name else ""
    split = split_of.get(person, "")
    if split not in SPLITS:
        return Rejected(path, "inconsistent", f"{SPLIT_LIST} has no split for person {person}")
    target = source.unique(person)
    donor = source.unique(made.donor) if made and made.donor != person else ""
    swap = made is not None and made.engine.startswith(_SWAP)
    video = Video(
        file=file,
        path=path,
        split=split,
        label=int(made is not None),
        method=made.engine if made else REAL_METHOD,
        audio_fake=made.audio_fake if made else 0,
        identity=donor if swap and donor else target,
        target_id=target if made else "",
        source_id=donor,
        pair_id=source.unique(f"{person}-{recording}"),
        leak_group=target,
    )
    return donors.checked(source, video, split_of.get(made.donor, "") if made and swap else "")


ADAPTER = Adapter(
    name="deepspeak",
    title="DeepSpeak 1.1 and 2",
    expects=(
        f"{SPLIT_LIST} below a root, {FAKE_LIST} besides for version 2, and videos such as "
        "87-0.mp4 and facefusion--10-11--4100-4897--0.mp4 at any depth"
    ),
    read=_read,
    options=donors.OPTIONS,
    licence="free for academia; others ask",
    access=(
        "https://huggingface.co/datasets/faridlab/deepspeak_v1_1 and "
        "https://huggingface.co/datasets/faridlab/deepspeak_v2 (gated)"
    ),
    expected=(
        Total(6_667, {"label": 0}, note="of version 1.1"),
        Total(6_796, {"label": 1}, note="of version 1.1"),
    ),
)
