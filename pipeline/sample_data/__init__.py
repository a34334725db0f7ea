"""The embedded sample dataset: eight real people, filmed, faked, laid out as two small datasets.

Their faces come from pictures that installed packages carry.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

VERSION = 1
"""Of the generator; where another one wrote a folder, ``write_sample_data`` writes it anew."""

MARKER = "sample-data.json"
"""Which version and seed wrote the folder, and the size of every file."""

_DATASETS = ("ffpp", "wild")
_UNFINISHED = ".unfinished"


def write_sample_data(root: Path, seed: int) -> None:
    """Writes ``root/ffpp`` (official FaceForensics++ layout, c23) and ``root/wild`` (CSV dataset).

    Real faces move in H.264 clips of three to five seconds; fakes of four methods follow them. No
    identity is in two splits, in either dataset or across both. The same seed gives the same bytes
    on one platform. What this version already wrote there for this seed is left as it is.

    Args:
        root: a folder that does not exist, is empty, or was written by this function.
        seed: of every random draw.

    Raises:
        UserError: the folder holds something else, or a picture the faces come from is missing.
    """
    marker = _read_marker(root)
    known: dict[str, int] = marker["files"]
    there = _files(root)
    if known and (marker["version"], marker["seed"]) == (VERSION, seed) and there == known:
        return
    foreign = sorted(set(there) - set(known))
    if foreign:
        raise UserError(
            f"{root / foreign[0]} is not part of the sample data and would be lost. Move it "
            "away, or choose another folder."
        )
    unfinished = root / _UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    # From here on the folder is ours, also where this run does not live to its end.
    _write_marker(root, marker)
    _write_datasets(unfinished, seed)
    for name in _DATASETS:
        shutil.rmtree(root / name, ignore_errors=True)
    _write_marker(root, {"version": VERSION, "seed": seed, "files": _files(unfinished)})
    for name in _DATASETS:
        (unfinished / name).rename(root / name)
    shutil.rmtree(unfinished)


def _write_datasets(root: Path, seed: int) -> None:
    # Only writing needs OpenCV, dlib and PyAV; seeing that all is there does not.
    from pipeline.sample_data.layout import write_ffpp, write_wild

    write_ffpp(root / "ffpp", seed)
    write_wild(root / "wild", seed)


def _read_marker(root: Path) -> dict[str, Any]:
    path = root / MARKER
    if path.is_file():
        try:
            marker = json.loads(path.read_text(encoding="utf-8"))
            return {"version": marker["version"], "seed": marker["seed"], "files": marker["files"]}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} is damaged. Delete the folder {root} and try again."
            ) from error
    if not root.exists() or (root.is_dir() and {p.name for p in root.iterdir()} <= {_UNFINISHED}):
        return {"version": VERSION, "seed": -1, "files": {}}
    raise UserError(f"{root} is there and is not sample data. Choose a new or an empty folder.")


def _write_marker(root: Path, marker: dict[str, Any]) -> None:
    temporary = root / _UNFINISHED / MARKER
    temporary.write_text(json.dumps(marker, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(root / MARKER)


def _files(root: Path) -> dict[str, int]:
    found = [path for name in _DATASETS for path in (root / name).rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.stat().st_size for path in sorted(found)}
