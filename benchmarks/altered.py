"""Which face of two was altered, told by the pristine pair: how often that is right, what it costs.

Films of two people are made of the clips below FACESHARDS_ASSETS. One of the two is altered in
several ways, and fake and pair are encoded each by itself, at the compressions of FaceForensics++.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import _figures
from benchmarks._two_people import ALTERATIONS, CRFS, RATE, Film, Studio, encode
from pipeline.faces.extract import FacesTask

LEAST_RIGHT = 0.98
MOST_COST = 2.0
COUPLES = (
    ("real/asl_book.mkv", "real/vr_face5.mp4"),
    ("real/lp_d20.mp4", "real/lp_d18.mp4"),
    ("real/lp_d0_greenscreen.mp4", "real/asl_again.mkv"),
    ("real/ghost_orig.webm", "real/lp_d13_phone_portrait.mp4"),
    ("real/fsgan_conan_1080p.mp4", "real/lp_s32_wide.mp4"),
    ("real/lp_s18_wide.mp4", "real/vr_face1_vfr.mp4"),
    ("real/lp_d18.mp4", "real/ls_demo1_hevc_portrait1080.mp4"),
)
SWAPPED = ("real/ghost_orig.webm", ("fake/ghost_elon.webm", "fake/ghost_mark.webm"))
"""A clip, and what a face swap of others made of it; somebody else stands beside them."""
PHOTOGRAPH = "two_people.jpg"
_SECONDS = 2
_TIMES_S = (0.25, 0.75, 1.25, 1.75)
_HEIGHT_PX = 480


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks altered", description=__doc__)
    parser.add_argument("--couples", type=int, default=len(COUPLES))
    options = parser.parse_args(arguments)
    studio = Studio(Path(os.environ["FACESHARDS_ASSETS"]))
    count = _SECONDS * RATE
    right: dict[tuple[int, str], list[bool]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def judge(film: Film, fakes: dict[str, list], crfs: Sequence[int] = CRFS) -> None:
            for crf in crfs:
                pair = encode(folder / "pair.mp4", film.frames, crf)
                for how, frames in fakes.items():
                    fake = encode(folder / "fake.mp4", frames, crf)
                    verdicts = studio.judged(fake, pair, film, _TIMES_S)
                    right.setdefault((crf, how), []).extend(a == b for a, b in verdicts)

        films = [
            studio.side_by_side(*couple, count, _HEIGHT_PX) for couple in COUPLES[: options.couples]
        ]
        films.append(studio.photograph(PHOTOGRAPH, count, _HEIGHT_PX))
        for film in films:
            judge(film, {how: studio.altered(film, how) for how in ALTERATIONS})
        original, others = SWAPPED
        for other, (beside, _) in zip(others, COUPLES, strict=False):
            film, fake = (
                studio.side_by_side(beside, clip, count, _HEIGHT_PX) for clip in (original, other)
            )
            judge(film, {"face swap of others": fake.frames})
        cost = _cost(studio, films[0], folder)
    figures = []
    for crf in CRFS:
        mine = [verdict for (at, _), found in right.items() if at == crf for verdict in found]
        share = sum(mine) / len(mine)
        figures.append(_figures.at_least(f"altered_right_crf{crf}", share, "of faces", LEAST_RIGHT))
        figures.append(_figures.at_least(f"altered_faces_crf{crf}", len(mine), "faces", None))
    for (crf, how), found in sorted(right.items()):
        share = sum(found) / len(found)
        figure = f"altered_right_crf{crf}_{how.replace(' ', '_')}"
        figures.append(_figures.at_least(figure, share, "of faces", None))
    figures.append(_figures.at_most("altered_pair_cost", cost, "times as long", MOST_COST))
    _figures.show(figures)


def _cost(studio: Studio, film: Film, folder: Path) -> float:
    """How much longer a fake takes that is held against its pair."""
    fake = encode(folder / "fake.mp4", studio.altered(film, ALTERATIONS[0]), 23)
    pair = encode(folder / "pair.mp4", film.frames, 23)
    task = FacesTask({"": studio.faces}, 8192)
    task.open()
    inputs = {"fingerprint": "", "media": "video", "file": str(fake), "encoding": "png"}
    inputs |= {"times_s": list(_TIMES_S), "rules": "", "shipped": ""}
    inputs |= {"min_frames": 1, "reference": str(pair)}
    spent = dict.fromkeys(("", "pair:"), 1e9)
    for _ in range(5):
        for kind in spent:
            begun = time.perf_counter()
            task.work({**inputs, "altered": kind})
            spent[kind] = min(spent[kind], time.perf_counter() - begun)
    return spent["pair:"] / spent[""]
