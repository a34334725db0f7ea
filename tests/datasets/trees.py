"""Small dataset folders for tests: only names and sizes matter."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import DatasetsParams
from pipeline.datasets.scan import Scan, scan
from pipeline.labels import semantics

SEMANTICS = Path(__file__).parents[2] / "manifests" / "semantics.yaml"


def put(file: Path, content: bytes = b"some bytes") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def put_all(root: Path, text: str) -> Path:
    """Files from a short description: one path per line; ``a/{b,c}.mp4`` stands for two."""
    for line in text.split():
        head, brace, rest = line.partition("{")
        names, _, tail = rest.partition("}")
        for name in names.split(",") if brace else [""]:
            path = f"{head}{name}{tail}"
            put(root / path, path.encode())
    return root


def put_splits(folder: Path, train: list, val: list, test: list) -> None:
    for name, pairs in (("train", train), ("val", val), ("test", test)):
        put(folder / f"{name}.json", json.dumps(pairs).encode())


def put_ffpp(root: Path, compression: str = "c23") -> Path:
    """One pair per split, reals and both directions of every manipulation."""
    put_splits(root / "splits", [["000", "003"]], [["001", "005"]], [["002", "004"]])
    for a, b in (("000", "003"), ("001", "005"), ("002", "004")):
        for one, other in ((a, b), (b, a)):
            put(root / f"original_sequences/youtube/{compression}/videos/{one}.mp4", one.encode())
            for method in ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter"):
                folder = root / f"manipulated_sequences/{method}/{compression}/videos"
                put(folder / f"{one}_{other}.mp4", f"{method} {one} {other}".encode())
    return root


def entry(adapter: str, *roots: Path, name: str = "ds", **options: Any) -> dict[str, DatasetEntry]:
    return {name: DatasetEntry(name, adapter, roots, options)}


def run(
    entries: Mapping[str, DatasetEntry], cache: Path, mode: str = "sampled", **params: Any
) -> Scan:
    params = DatasetsParams(fingerprint=mode, **params)
    return scan(entries, params, semantics.load(SEMANTICS), cache)


def rows(found: Scan) -> dict[str, dict[str, Any]]:
    return {row["video_id"]: row for row in found.videos.to_pylist()}


def rejects(found: Scan) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in found.rejected.to_pylist()}
