"""FFIW-10K (Face Forensics in the Wild): several people in a video, the face of one swapped.

Rules:

- ``source`` holds pristine videos, ``target`` manipulated ones.
- The split is the folder (``source/train/…``), or else what a name begins with (``train_…``).
- A label is that of the video. Which of the faces was swapped, the mask of a fake tells: the film
  of the same name in ``target_mask``. Masks are never rows.
"""

from collections.abc import Iterator

from faceshards.fields import SPLITS
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Reference,
    Rejected,
    Source,
    Total,
    Video,
)
from pipeline.datasets.named_files import NamedFile, named_files

METHOD = "ffiw_unknown"
_LABELS = {"source": 0, "target": 1}
_MASKS = "target_mask"
_DEPTH = 3


def _read(source: Source) -> Iterator[Video | Rejected]:
    for found in named_files(source, ADAPTER, _LABELS, _DEPTH):
        if isinstance(found, Rejected):
            yield found
            continue
        words = (*(name.lower() for name in found.parents), found.stem.lower().partition("_")[0])
        split = next((word for word in words if word in SPLITS), "")
        if not split:
            detail = "neither its folder nor its name says train, val or test"
            yield Rejected(found.path, "inconsistent", detail)
            continue
        label = _LABELS[found.top]
        yield Video(
            file=found.file,
            path=found.path,
            split=split,
            label=label,
            method=METHOD if label else REAL_METHOD,
            mask=_mask(found) if label else None,
        )


def _mask(found: NamedFile) -> Reference:
    """Where the mask of a fake lies; whether it does, ``scan`` looks."""
    below = found.relative.partition("/")[2]
    root = found.file.removesuffix(found.relative)
    start = found.path.removesuffix(found.relative)
    return Reference(f"{root}{_MASKS}/{below}", f"{start}{_MASKS}/{below}")


ADAPTER = Adapter(
    name="ffiw",
    title="FFIW-10K",
    expects=(
        "source/ and target/ below the root, with train/, val/ and test/ in them or names that "
        "begin with train_, val_ and test_"
    ),
    read=_read,
    licence="research only",
    access="https://github.com/tfzhou/FFIW: a form",
    expected=tuple(
        Total(count, {"split": split, "label": label})
        for split, count in (("train", 8_000), ("val", 250), ("test", 1_738))
        for label in (0, 1)
    ),
)
