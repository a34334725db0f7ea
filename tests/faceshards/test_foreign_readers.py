"""Shards are read by plain libraries; no line of this project takes part in the reading."""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

FOLDERS = ("train", "val", "expanded")

WEBDATASET = """
import sys, json, hashlib, webdataset
for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):
    members = {k: v for k, v in sample.items() if not k.startswith("__")}
    sha = {k: hashlib.sha256(v).hexdigest() for k, v in members.items()}
    print(json.dumps([sample["__key__"], json.loads(sample["json"]), sha]))
"""

HUGGING_FACE = """
import sys, json, hashlib, datasets
cache, *folders = sys.argv[1:]
for streaming in (True, False):
    for folder in folders:
        dataset = datasets.load_dataset(
            "webdataset", data_files=folder.split(), split="train", streaming=streaming,
            cache_dir=cache,
        )
        pictures = [name for name in ("jpg", "mask.png") if name in dataset.features]
        for name in pictures:
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
        for sample in dataset:
            sha = {k: hashlib.sha256(sample[k]["bytes"]).hexdigest() for k in pictures}
            print(json.dumps([sample["__key__"], sample["json"], sha]))
"""


def foreign(tmp_path: Path, program: str, arguments: list[str]) -> list[Any]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "WDS_SECURE": "1"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    # Isolated (-I) and away from the repository: the program sees installed packages alone.
    command = [sys.executable, "-I", "-c", program, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def tars(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.tar"))]


def expected(folder: Path, digests: tuple[str, ...]) -> list[Any]:
    """Key, json and digests of some members of every sample, by the standard library."""
    found: dict[str, dict[str, bytes]] = {}
    for path in tars(folder):
        with tarfile.open(path) as file:
            for member in file:
                key, extension = member.name.split(".", 1)
                found.setdefault(key, {})[extension] = file.extractfile(member).read()
    rows = []
    for key, members in found.items():
        sha = {e: hashlib.sha256(d).hexdigest() for e, d in members.items() if e in digests}
        rows.append([key, json.loads(members["json"]), sha])
    return rows


@pytest.mark.slow
def test_plain_webdataset_reads_them(shards: Path, tmp_path: Path) -> None:
    found = foreign(tmp_path, WEBDATASET, [t for name in FOLDERS for t in tars(shards / name)])
    digests = ("jpg", "json", "mask.png")
    assert found == [row for name in FOLDERS for row in expected(shards / name, digests)]
    assert len(found) == 24 + 8 + 8


@pytest.mark.slow
def test_hugging_face_datasets_reads_them(shards: Path, tmp_path: Path) -> None:
    folders = [" ".join(tars(shards / name)) for name in FOLDERS]
    found = foreign(tmp_path, HUGGING_FACE, [str(tmp_path / "cache"), *folders])
    wanted = [row for name in FOLDERS for row in expected(shards / name, ("jpg", "mask.png"))]
    assert found == wanted + wanted  # streamed, then from the cache
