"""Where the clips go: official FaceForensics++ folders and splits, and a set described by a CSV."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from pipeline.sample_data.clip import write_clip
from pipeline.sample_data.fakes import FAKES
from pipeline.sample_data.identities import people
from pipeline.sample_data.puppet import Puppet
from pipeline.sample_data.shot import Footage, Format, film, random

COMPRESSION = "c23"


_SQUARE = Format()
_LONG = Format(duration_s=4.6)
_WIDE = Format(width_px=384, height_px=288)
_TALL = Format(width_px=270, height_px=360)


@dataclass(frozen=True)
class Take:
    """One real clip: its name, who is in it, its size and timing."""

    name: str
    identity: str
    form: Format = _SQUARE


@dataclass(frozen=True)
class Pair:
    """Two takes whose faces are put into each other, and the split they are in."""

    split: str
    first: Take
    second: Take


FFPP = (
    Pair("train", Take("000", "t1_0"), Take("001", "t1_2", _LONG)),
    Pair("train", Take("002", "t1_3"), Take("003", "t1_5")),
    Pair("train", Take("004", "t1_2", _WIDE), Take("005", "t1_3")),
    Pair("train", Take("006", "t1_5", _TALL), Take("007", "t1_0")),
    Pair("val", Take("008", "t1_1"), Take("009", "t1_4")),
    Pair("val", Take("010", "t1_4", _WIDE), Take("011", "t1_1", _LONG)),
    Pair("test", Take("012", "astronaut"), Take("013", "Tom_Hanks")),
    Pair("test", Take("014", "Tom_Hanks"), Take("015", "astronaut", _TALL)),
)
"""Pairs hold two identities whose heads are turned alike, and no identity is in two splits."""

_PHONE = Format(width_px=288, height_px=384, fps=Fraction(10))
_FILM = Format(width_px=352, height_px=288, fps=Fraction(24000, 1001), duration_s=3.2)

WILD = (
    Pair("train", Take("park", "t1_0", _FILM), Take("stage", "t1_5", _PHONE)),
    Pair("val", Take("office", "t1_1", _FILM), Take("kitchen", "t1_4", _PHONE)),
    Pair("test", Take("launch", "astronaut", _FILM), Take("portrait", "Tom_Hanks", _PHONE)),
)
WILD_METHODS = (("Deepfakes", "swap"), ("NeuralTextures", "lips"))
"""How the fake of the first and of the second take of a pair is made, and what the CSV calls it."""


@dataclass
class Studio:
    """Films every take once."""

    seed: int
    _puppets: dict[str, Puppet] = field(default_factory=dict)

    def film(self, dataset: str, take: Take) -> Footage:
        """The take's footage; drawn from the seed and the take's name alone."""
        if take.identity not in self._puppets:
            self._puppets[take.identity] = Puppet(people()[take.identity])
        draw = random(self.seed, dataset, take.name)
        return film(self._puppets[take.identity], take.form, draw)


def write_ffpp(root: Path, seed: int, pairs: tuple[Pair, ...] = FFPP) -> None:
    """Originals, four fakes in both directions and the split files, as FaceForensics++ has them."""
    studio = Studio(seed)
    splits: dict[str, list[list[str]]] = {"train": [], "val": [], "test": []}
    for pair in pairs:
        splits[pair.split].append([pair.first.name, pair.second.name])
        reals = {take: studio.film("ffpp", take) for take in (pair.first, pair.second)}
        for take, footage in reals.items():
            originals = root / "original_sequences" / "youtube" / COMPRESSION / "videos"
            write_clip(originals / f"{take.name}.mp4", take.form, footage.frames)
        for target, source in ((pair.first, pair.second), (pair.second, pair.first)):
            name = f"{target.name}_{source.name}"
            for method, (_, make) in FAKES.items():
                folder = root / "manipulated_sequences" / method / COMPRESSION / "videos"
                frames = make(reals[target], reals[source], random(seed, "ffpp", method, name))
                write_clip(folder / f"{name}.mp4", target.form, frames)
    (root / "splits").mkdir(parents=True)
    for split, names in splits.items():
        text = json.dumps(names, indent=2) + "\n"
        (root / "splits" / f"{split}.json").write_text(text, encoding="utf-8")


def write_wild(root: Path, seed: int, pairs: tuple[Pair, ...] = WILD) -> None:
    """Clips of other sizes and frame rates in one folder, and ``wild.csv`` that describes them."""
    rows: list[dict[str, str]] = []
    studio = Studio(seed)
    for pair in pairs:
        rows += _wild_pair(root, studio, pair)
    with (root / "wild.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _wild_pair(root: Path, studio: Studio, pair: Pair) -> Iterator[dict[str, str]]:
    takes = (pair.first, pair.second)
    footage = [studio.film("wild", take) for take in takes]
    for i, (take, (made_as, method)) in enumerate(zip(takes, WILD_METHODS, strict=True)):
        path = f"videos/{take.name}.mp4"
        write_clip(root / path, take.form, footage[i].frames)
        same = {"split": pair.split, "target_id": "", "source_id": "", "pair_id": take.name}
        about = {"method": "real", "category": "real", "identity": take.identity}
        yield {"path": path, "label": "real"} | about | same
        category, make = FAKES[made_as]
        other = takes[1 - i].identity
        path = f"videos/{take.name}_{method}.mp4"
        frames = make(footage[i], footage[1 - i], random(studio.seed, "wild", method, take.name))
        write_clip(root / path, take.form, frames)
        shown = other if category == "FS" else take.identity
        about = {"method": method, "category": category, "identity": shown}
        same |= {"target_id": take.identity, "source_id": other}
        yield {"path": path, "label": "fake"} | about | same
