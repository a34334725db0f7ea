"""The official split files of FaceForensics++, which datasets made from its clips follow as well.

A split file lists pairs of ids. Pair (a, b) puts the originals a and b and the fakes ``a_b`` and
``b_a`` of every method in that split.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceshards.fields import SPLITS
from pipeline.datasets import lists, shared_ids
from pipeline.datasets.base import Source
from pipeline.datasets.shared_ids import ffpp, leak_group
from pipeline.errors import UserError

FOLDERS = ("splits", "dataset/splits", ".")
"""Where the split files may lie below a root."""

_CONVERSION = "conversion_dict.json"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Pairs:
    """Split of each id, and the other id of its pair."""

    split: Mapping[str, str]
    partner: Mapping[str, str]


def find(source: Source, roots: Sequence[Path]) -> Pairs:
    """The first complete set of split files below ``roots``.

    Raises UserError where there is none, or where a file is not a list of pairs of ids.
    """
    for root in roots:
        for folder in FOLDERS:
            files = {split: root / folder / f"{split}.json" for split in SPLITS}
            if all(file.is_file() for file in files.values()):
                return parse(source, files)
    searched = ", ".join(str(root / folder) for root in roots for folder in FOLDERS)
    near = lists.nearby(source, *(f"{split}.json" for split in SPLITS))
    origin = near.parent if near else "dataset/splits of the official FaceForensics repository"
    raise UserError(
        f"Dataset {source.name}: train.json, val.json and test.json lie together in none of "
        f"{searched}. Copy them there from {origin}."
    )


def parse(source: Source, files: Mapping[str, Path]) -> Pairs:
    """The pairs of one file per split; raises UserError as :func:`find`, and for an id twice."""
    splits: dict[str, str] = {}
    partner: dict[str, str] = {}
    for split, file in files.items():
        for a, b in _parse_pairs(source, file):
            for one, other in ((a, b), (b, a)):
                if one in splits:
                    raise UserError(
                        f"Dataset {source.name}: id {one} is twice in the split files ({file} and "
                        f"{files[splits[one]]}). Take the official files."
                    )
                splits[one], partner[one] = split, other
    return Pairs(splits, partner)


def leak_groups(source: Source, pairs: Pairs) -> dict[str, str]:
    """What the clips of an id's pair are related to: both ids, and their YouTube videos if known.

    Which video a clip is from says ``conversion_dict.json``, in a root or beside the split files.
    Form as in :mod:`pipeline.datasets.shared_ids`, which see.
    """
    youtube = _youtube(source)
    groups = {}
    for one, other in pairs.partner.items():
        videos = [shared_ids.youtube(youtube[clip]) for clip in (one, other) if clip in youtube]
        groups[one] = leak_group(ffpp(one), ffpp(other), *videos)
    return groups


def _youtube(source: Source) -> dict[str, str]:
    """YouTube video of each id; empty where the file is in no root."""
    for root in source.roots:
        for folder in (*FOLDERS, "dataset"):
            file = root / folder / _CONVERSION
            if file.is_file():
                return _parse_conversion(source, file)
    return {}


def _parse_conversion(source: Source, file: Path) -> dict[str, str]:
    """The file maps an id to ``<YouTube id> <number of the clip>``."""
    form = 'does not map ids to YouTube videos, such as "000": "abc 0"'
    remedy = "Take the official file, or remove it."
    data = lists.read_json(source, file, form, remedy, _MAX_BYTES)
    if not isinstance(data, dict) or not all(isinstance(v, str) and v for v in data.values()):
        raise UserError(f"Dataset {source.name}: {file} {form}. {remedy}")
    return {one: text.rsplit(" ", 1)[0] for one, text in data.items()}


def _parse_pairs(source: Source, file: Path) -> list[tuple[str, str]]:
    form = 'is not a JSON list of pairs of three-digit ids, such as [["071", "054"]]'
    remedy = "Take the official file."
    pairs = lists.read_json(source, file, form, remedy, _MAX_BYTES)
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        raise UserError(f"Dataset {source.name}: {file} {form}. {remedy}")
    return [(a, b) for a, b in pairs]


def _is_pair(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(one, str) and re.fullmatch(r"\d{3}", one, re.ASCII) for one in pair)
    )
