"""Single flipped bits in the store of a small run: each is found, and costs its own rows alone.

By hand, with as many flips as wanted: ``python -m tests.faults.flip 3200``.
"""

import contextlib
import io
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.config.params import EngineParams
from pipeline.engine import run
from pipeline.engine.survey import Store
from tests.engine import toy

ROWS = 8
HERE = EngineParams(workers=0)


def make(folder: Path, target_rows: int) -> None:
    """Brings a store of toy rows up to date, without a word."""
    store = Store(folder, "faces", target_rows)
    with contextlib.redirect_stderr(io.StringIO()):
        run.run("toy", toy.ToyTask(), toy.plan(toy.texts(ROWS)), store, HERE, 1)


def content(folder: Path) -> dict[str, bytes]:
    """The files of a store by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def flip(flips: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Flips bits one at a time and counts what became of the store afterwards.

    It must heal by running again, and one in a tar must not reach the tars that another division of
    the same rows makes from it. ``healed`` is the only good outcome; the others are ``silent`` and
    ``traceback``, ended by the kind of file.
    """
    whole, cut = folder / "whole", folder / "cut"
    make(whole, 3)
    make(cut, 100)
    wanted = {3: content(whole), 100: content(cut)}
    draw = np.random.default_rng(seed)
    names = sorted(wanted[3])
    found: Counter[str] = Counter()
    for number in range(flips):
        name = names[draw.integers(len(names))]
        here = folder / f"try-{number}"
        shutil.copytree(whole, here)
        data = bytearray((here / name).read_bytes())
        bit = int(draw.integers(8 * len(data)))
        data[bit // 8] ^= 1 << bit % 8
        (here / name).write_bytes(data)
        kind = Path(name).suffix
        target_rows = 100 if kind == ".tar" and number % 2 else 3
        try:
            make(here, target_rows)
        except Exception:
            traceback.print_exc()
            found[f"traceback {kind}"] += 1
        else:
            same = content(here) == wanted[target_rows]
            found[f"{'healed' if same else 'silent'} {kind}"] += 1
        shutil.rmtree(here)
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(f"{dict(flip(int(sys.argv[1]), Path(place)))}\n")
