"""TalkingHeadBench: portraits that clips of CelebV-HQ or their sound make talk.

Rules:

- ``fake/<generator>/{train,val,test}/<image>--<driver>--<generator>.mp4``; the folder is the split.
  ``fake/additional_dataset/<generator>`` is test: MAGI-1 and Hallo3, which nobody trains on.
- The reals are listed in real_dataset_split_official_ff++.json and are not part of the release:
  clips of FaceForensics++ and CelebV-HQ, from further roots. A source of which no root has one clip
  was not downloaded; else what is listed and not there is ``missing``.
- A driver is a clip of CelebV-HQ. Names lose a dash that a clip's name begins with; the list gives
  it back.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from faceshards.fields import SPLITS
from pipeline.datasets import folders, lists
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video
from pipeline.datasets.shared_ids import ffpp
from pipeline.errors import UserError

LIST = "real_dataset_split_official_ff++.json"
HELD_OUT = "additional_dataset"
_PLACES = (f"real/{LIST}", LIST)
_FAKE = "fake"
_FFPP = "FaceForensics++"
_CELEBV = "CelebV-HQ"
_DEPTH = 6


def _read(source: Source) -> Iterator[Video | Rejected]:
    listed = _listed(source)
    drivers = {stem for kind, stem in listed if kind == _CELEBV}
    reals: dict[tuple[str, str], tuple[str, str]] = {}
    for index, root in enumerate(source.roots):
        for relative in folders.files(root, _DEPTH):
            file, path = f"{root}/{relative}", source.path(index, relative)
            parts = relative.split("/")
            if not folders.is_video(relative):
                continue
            if parts[0] == _FAKE:
                yield _fake(source, file, path, parts[1:], drivers)
                continue
            stem = folders.stem(relative)
            key = (_FFPP if (_FFPP, stem) in listed else _CELEBV, stem)
            if key in listed and (key[0] == _CELEBV or "youtube" in parts or len(parts) == 1):
                reals.setdefault(key, (file, path))
    there = {kind for kind, _ in reals}
    for (kind, stem), split in listed.items():
        if (kind, stem) in reals:
            yield _real(source, *reals[kind, stem], kind, stem, split)
        elif kind in there:
            yield Rejected(source.path(0, f"{kind}/{stem}.mp4"), "missing", f"listed in {LIST}")


def _listed(source: Source) -> dict[tuple[str, str], str]:
    """Split of each real by source and stem; of one that is listed twice the last split."""
    file = lists.find(source, _PLACES, "what the reals are, and their splits")
    remedy = "Take the official file."
    data = lists.read_json(source, file, "is no JSON", remedy)
    found = {}
    try:
        for split in SPLITS:
            for kind in (_FFPP, _CELEBV):
                for name in data.get(split.capitalize(), {}).get(kind, []):
                    found[kind, PurePosixPath(name).stem] = split
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"Dataset {source.name}: {file} does not map Train, Val and Test to lists of names of "
            f"{_FFPP} and {_CELEBV}. {remedy}"
        ) from error
    return found


def _fake(
    source: Source, file: str, path: str, parts: list[str], drivers: set[str]
) -> Video | Rejected:
    held_out = parts[0] == HELD_OUT
    split = "test" if held_out else next((part for part in parts[1:-1] if part in SPLITS), "")
    if not split or len(parts) < (3 if held_out else 2):
        detail = f"not in {_FAKE}/<generator>/<train, val or test> or {_FAKE}/{HELD_OUT}"
        return Rejected(path, "inconsistent", detail)
    driver = _driver(folders.stem(parts[-1]), held_out, drivers)
    return Video(
        file=file,
        path=path,
        split=split,
        label=1,
        method=parts[1] if held_out else parts[0],
        source_id=source.unique(driver),
        leak_group=source.unique(driver),
    )


def _driver(stem: str, held_out: bool, drivers: set[str]) -> str:
    """The clip that drives a fake; "" where the name does not say."""
    parts = stem.split("--") if not held_out else stem.split("-", 1)
    if len(parts) != (2 if held_out else 3):
        return ""
    return f"-{parts[1]}" if parts[1] not in drivers and f"-{parts[1]}" in drivers else parts[1]


def _real(source: Source, file: str, path: str, kind: str, stem: str, split: str) -> Video:
    clip = ffpp(stem) if kind == _FFPP else source.unique(stem)
    return Video(
        file=file,
        path=path,
        split=split,
        label=0,
        method=REAL_METHOD,
        pair_id=clip,
        leak_group=clip,
    )


_CORE: Mapping[str, int] = {
    "LivePortrait": 529,
    "AniPortraitAudio": 542,
    "AniPortraitVideo": 422,
    "Hallo": 420,
    "Hallo2": 432,
    "EmoPortrait": 573,
    "MAGI-1": 66,
    "Hallo3": 10,
}

ADAPTER = Adapter(
    name="talkingheadbench",
    title="TalkingHeadBench",
    expects=(
        f"fake/<generator>/{{train,val,test}}/ and real/{LIST} below the first root, and the "
        "clips that this lists below further ones: a copy of FaceForensics++, CelebV-HQ"
    ),
    read=_read,
    licence="MIT by its card; FaceForensics++, CelebV-HQ and FFHQ have their own terms",
    access="https://huggingface.co/datasets/luchaoqi/TalkingHeadBench",
    expected=(
        Total(1_000, {"label": 0}, path="(^|/)[0-9]{3}[.]mp4$", note="of FaceForensics++"),
        *(Total(count, {"method": method}) for method, count in _CORE.items()),
    ),
)
