"""Which face of two was altered, told by the pristine pair: how often that is right, what it costs.

Films of two people are made of the clips below FACESHARDS_ASSETS. One of the two is altered in
several ways, and fake and pair are encoded each by itself, at the compressions of FaceForensics++.
Figures ``seen`` are of films that were looked at when the constants of
:mod:`pipeline.faces.altered` were chosen, ``unseen`` of films that were not.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from benchmarks import _figures
from benchmarks._alterations import ALTERATIONS, FIRST, Image
from benchmarks._two_people import CRFS, Clip, Film, Studio, encode
from pipeline.faces.extract import FacesTask

LEAST_RIGHT = 0.98
MOST_COST = 2.0
COUPLES = (
    (Clip("real/asl_book.mkv"), Clip("real/vr_face5.mp4")),
    (Clip("real/lp_d20.mp4"), Clip("real/lp_d18.mp4")),
    (Clip("real/lp_d0_greenscreen.mp4"), Clip("real/asl_again.mkv")),
    (Clip("real/ghost_orig.webm"), Clip("real/lp_d13_phone_portrait.mp4")),
    (Clip("real/fsgan_conan_1080p.mp4"), Clip("real/lp_s32_wide.mp4")),
)
"""Left and right."""
UNSEEN_COUPLES = (
    (Clip("real/asl_brother_vfr.mkv"), Clip("real/head_pose_female.gif")),
    (Clip("real/head_pose_female.gif"), Clip("real/asl_eat.mkv")),
    (Clip("real/hamilton_dark.mp4"), Clip("real/lp_d13_phone_portrait.mp4", 6.0)),
    (Clip("real/lp_s32_wide.mp4", 3.0), Clip("fake/w2l_kennedy.mp4")),
    (Clip("real/vr_face5.mp4", 2.0), Clip("real/fsgan_conan_1080p.mp4", 2.0)),
    (Clip("real/vr_face1_vfr.mp4", 3.0), Clip("real/lp_s18_wide.mp4", 5.0)),
    (Clip("real/ls_demo1_hevc_portrait1080.mp4", 5.0), Clip("real/lp_d0_greenscreen.mp4")),
)
TOGETHER = Clip("real/head_pose_two.gif")
"""A clip of two people."""
PHOTOGRAPHS = ("two_people.jpg", "aflw_test.jpg")
SWAPPED, SWAPS = Clip("real/ghost_orig.webm"), ("elon", "mark", "khabenskii")
"""A clip, and the face swaps that others made of it; who stands beside them:"""
BESIDE = (Clip("real/asl_brother_vfr.mkv"), Clip("real/hamilton_dark.mp4"))
UNSEEN_BESIDE = tuple(left for left, _ in UNSEEN_COUPLES[3:])
PANELS = "fake/lp_inference_3panel.gif"
"""Three beside each other: somebody who drives, a target, and what others made of that."""
STILL = "other words"
"""A photograph says nothing else at another moment."""
_COUNT = 40
_TIMES_S = (0.0, 0.5, 1.0, 1.5)
LOOKED_AT = (1, 4)
"""Frames of a film that are looked at: long films have many."""
_HEIGHT_PX = 480

Take = tuple[str, Film, Iterable[tuple[str, list[Image]]]]
"""``seen`` or ``unseen``, a film, and its fakes after the names of how they were made."""


def main(arguments: Sequence[str]) -> None:
    """Measures, and prints the figures to stdout."""
    parser = argparse.ArgumentParser(prog="benchmarks altered", description=__doc__)
    parser.add_argument("--films", type=int, default=1000, help="at most so many of either kind")
    parser.add_argument("--kind", choices=("seen", "unseen"), help="these films alone")
    parser.add_argument("--ways", type=int, default=len(ALTERATIONS), help="to alter a face")
    options = parser.parse_args(arguments)
    if not (assets := os.environ.get("FACESHARDS_ASSETS")):
        raise SystemExit("Say in FACESHARDS_ASSETS which folder holds the clips.")
    studio = Studio(Path(assets))
    right: dict[_Case, list[bool]] = defaultdict(list)
    taken: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, film, fakes in _takes(studio, list(ALTERATIONS)[: options.ways]):
            taken[kind] += options.kind in (None, kind)
            if taken[kind] <= options.films and options.kind in (None, kind):
                for case, verdicts in _judged(studio, film, fakes, folder):
                    right[(kind, *case)] += verdicts
                share = _share(right, lambda case, kind=kind: case[0] == kind)
                sys.stderr.write(f"altered: {kind} film {taken[kind]}, {share:.4f} so far\n")
        cost = _cost(studio, studio.side_by_side(*COUPLES[0], _COUNT, _HEIGHT_PX), folder)
    figures = [
        _figures.at_least(f"altered_{kind}_crf{crf}_frames{count}", share, "of faces", LEAST_RIGHT)
        for kind in sorted(taken)
        if taken[kind]
        for crf in CRFS
        for count in LOOKED_AT
        for share in [_share(right, lambda c, at=(kind, crf, count): (c[0], c[1], c[3]) == at)]
    ]
    for (kind, crf, how, count), found in sorted(right.items()):
        if count == LOOKED_AT[-1]:
            figure = f"altered_{kind}_crf{crf}_{how.replace(' ', '_')}"
            share = sum(found) / len(found)
            figures.append(_figures.at_least(figure, share, f"of {len(found)} faces", None))
    figures.append(_figures.at_most("altered_pair_cost", cost, "times as long", MOST_COST))
    _figures.show(figures)


_Case = tuple[str, int, str, int]
"""Seen or unseen, CRF, how the face was altered, frames looked at."""


def _share(right: Mapping[_Case, list[bool]], of: Callable[[_Case], bool]) -> float:
    found = [verdict for case, verdicts in right.items() if of(case) for verdict in verdicts]
    return sum(found) / len(found)


def _judged(
    studio: Studio, film: Film, fakes: Iterable[tuple[str, list[Image]]], folder: Path
) -> Iterator[tuple[tuple[int, str, int], list[bool]]]:
    """CRF, way, and frames looked at; and whether each face is judged as it is."""
    pairs = {crf: encode(folder / f"pair{crf}.mp4", film.frames, crf) for crf in CRFS}
    for how, frames in fakes:
        for crf, pair in pairs.items():
            fake = encode(folder / "fake.mp4", frames, crf)
            for count in LOOKED_AT:
                verdicts = studio.judged(fake, pair, film, _TIMES_S[:count])
                yield (crf, how, count), [told == true for true, told in verdicts]


def _takes(studio: Studio, ways: Sequence[str]) -> Iterator[Take]:
    """All films with their fakes, made one by one as they are asked for."""
    size = _COUNT, _HEIGHT_PX
    first = [how for how in ways if how in FIRST]
    for couples, kind, some in ((COUPLES, "seen", first), (UNSEEN_COUPLES, "unseen", ways)):
        for couple in couples:
            film = studio.side_by_side(*couple, *size)
            yield kind, film, studio.altered(film, some)
    film = studio.alone(TOGETHER, *size)
    yield "seen", film, studio.altered(film, ways)
    for photograph in PHOTOGRAPHS:
        film = studio.photograph(photograph, *size)
        yield "seen", film, studio.altered(film, [how for how in ways if how != STILL])
    for clips, kind in ((BESIDE, "seen"), (UNSEEN_BESIDE, "unseen")):
        for beside, swap in product(clips, SWAPS):
            film, fake = (
                studio.side_by_side(beside, clip, *size)
                for clip in (SWAPPED, Clip(f"fake/ghost_{swap}.webm"))
            )
            yield kind, film, [("swap of others", fake.frames)]
    driver, target, result = (Clip(PANELS, panel=(n, 3)) for n in range(3))
    film, fake = (studio.side_by_side(driver, clip, *size) for clip in (target, result))
    yield "seen", film, [("reenactment of others", fake.frames)]


def _cost(studio: Studio, film: Film, folder: Path) -> float:
    """How much longer a fake takes that is held against its pair."""
    ((_, frames),) = studio.altered(film, ["swap"])
    fake = encode(folder / "fake.mp4", frames, 23)
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
