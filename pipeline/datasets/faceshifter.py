"""FaceShifter as a test set of its own: its fakes, and the YouTube originals they were made from.

It is a part of FaceForensics++ and read from the same folders by the adapter ``faceforensics``,
whose rules hold. Only clips of the test split count, as the SJEDD paper has it, and the others are
``excluded``; ``ids: all`` reads all three splits.
"""

import re
from collections.abc import Iterator

from pipeline.datasets import faceforensics, ff_splits, folders
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Option,
    Rejected,
    Source,
    Total,
    Video,
    wrong_root,
)

METHOD = "FaceShifter"
_FOLDERS = re.compile(r"(^|/)(FaceShifter|youtube|[Oo]riginal)/")
_COUNTS = (("train", 720), ("val", 140), ("test", 140))


def _read(source: Source) -> Iterator[Video | Rejected]:
    pairs = ff_splits.find(source, source.roots)
    options = {key: source.options[key] for key in faceforensics.ADAPTER.options}
    whole = faceforensics.ADAPTER.read(Source(source.name, source.roots, options, source.params))
    items = [item for item in whole if _FOLDERS.search(item.path)]
    if not any(isinstance(item, Video) and item.method == METHOD for item in items):
        raise wrong_root(source, source.roots[0], ADAPTER)
    for item in items:
        split = item.split if isinstance(item, Video) else _listed_split(item, pairs)
        if source.options["ids"] == "all" or split in ("test", ""):
            yield item
        elif isinstance(item, Video):
            yield Rejected(item.path, "excluded", f"a clip of {split} (option ids)")


def _listed_split(item: Rejected, pairs: ff_splits.Pairs) -> str:
    """Split of a reject's clip; "" where its name tells none."""
    return pairs.split.get(folders.stem(item.path)[:3], "")


ADAPTER = Adapter(
    name="faceshifter",
    title="FaceShifter (of FaceForensics++)",
    expects=(
        "manipulated_sequences/FaceShifter and original_sequences/youtube below the root, as the "
        "adapter faceforensics does, with the split files"
    ),
    read=_read,
    options={
        **faceforensics.ADAPTER.options,
        "ids": Option(
            "test = the test split of FaceForensics++ alone; all = all three splits",
            "test",
            ("test", "all"),
        ),
    },
    licence=faceforensics.ADAPTER.licence,
    access=faceforensics.ADAPTER.access,
    expected=tuple(
        Total(count, {"method": method, "split": split}, {} if split == "test" else {"ids": "all"})
        for method in (REAL_METHOD, METHOD)
        for split, count in _COUNTS
    ),
)
