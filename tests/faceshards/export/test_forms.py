"""Each form is read by rules or libraries that are not ours."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceshards import export
from faceshards.errors import UserError
from faceshards.reading import Shards
from pipeline.datasets import generic_csv

FOLDERS = ("train", "val", "test", "expanded")


@pytest.fixture(scope="module")
def exported(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports")
    for form in export.FORMS:
        export.export([shards / name for name in FOLDERS], out / form, form)
    return out


@pytest.fixture(scope="module")
def wanted(shards: Path) -> dict[str, Any]:
    """Every sample by its id: folder, json, JPEG and key."""
    found = {}
    for name in FOLDERS:
        opened = Shards(shards / name)
        ids = opened.index.column("sample_id").to_pylist()
        found |= {i: (name, s) for i, s in zip(ids, opened.samples(), strict=True)}
    assert len(found) == 40
    return found


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pixels(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


def test_folders_by_class(exported: Path, wanted: dict[str, Any]) -> None:
    root = exported / "folder"
    found = lines(root / "samples.csv")
    assert {row["sample_id"] for row in found} == set(wanted)
    for row in found:
        name, sample = wanted[row["sample_id"]]
        assert (root / row["path"]).read_bytes() == sample.jpg
        assert row["path"].split("/")[:2] == [name, ("real", "fake")[sample.about["label"]]]
        assert row["vector"] == " ".join(map(str, sample.about["vector"]))
    on_disk = {p.relative_to(root).as_posix() for p in root.rglob("*.jpg")}
    assert on_disk == {row["path"] for row in found}


def test_csv_comes_back_through_its_adapter(exported: Path, wanted: dict[str, Any]) -> None:
    """Read as the adapter is documented; pictures, labels, splits and people are the same."""
    root = exported / "csv"
    seen = set()
    for dataset in ("ffpp", "wild"):
        for row in lines(root / dataset / "samples.csv"):
            about, jpeg = wanted[row["notes"]][1].about, wanted[row["notes"]][1].jpg
            seen.add(row["notes"])
            assert set(row) <= set(generic_csv.COLUMNS)
            assert (root / dataset / row["path"]).read_bytes() == jpeg
            assert row["label"] == ("real", "fake")[about["label"]]
            same = ("split", "method", "category", "compression", "identity", "pair_id")
            assert [row[k] for k in same] == [about[k] for k in same]
            assert row["group"] == about["leak_group"]
    assert seen == set(wanted)


HUGGING_FACE = """
import sys, json, hashlib, datasets
root, cache = sys.argv[1:]
for config in ("default", "expanded"):
    for split, of_split in datasets.load_dataset(root, config, cache_dir=cache).items():
        types = {name: str(feature) for name, feature in of_split.features.items()}
        names = of_split.features["label"].names
        for name in ("image", "mask"):
            if name in of_split.features:
                assert of_split[0][name].size == (224, 224)
                of_split = of_split.cast_column(name, datasets.Image(decode=False))
        for row in of_split:
            sha = hashlib.sha256(row.pop("image")["bytes"]).hexdigest()
            row.pop("mask", None)
            print(json.dumps([config, split, names, types["landmarks"], sha, row]))
"""


@pytest.mark.slow
def test_hugging_face_reads_them(exported: Path, wanted: dict[str, Any], tmp_path: Path) -> None:
    import hashlib

    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    root = str(exported / "huggingface")
    command = [sys.executable, "-I", "-c", HUGGING_FACE, root, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row[5]["sample_id"] for row in found} == set(wanted)
    for config, split, names, landmarks, sha, row in found:
        name, sample = wanted[row["sample_id"]]
        assert (config, split) == (
            ("expanded", "train") if name == "expanded" else ("default", name)
        )
        assert names == ["real", "fake"]
        assert "float64" in landmarks
        assert sha == hashlib.sha256(sample.jpg).hexdigest()
        about = {k: v for k, v in row.items() if k not in ("sample_id", "key")}
        assert about == sample.about


LOADER_LABELS = {"FF-real": 0, "FF-DF": 1, "FF-F2F": 1, "FF-FS": 1, "FF-NT": 1, "FF-FH": 1}
COMPRESSED = ("FF-DF", "FF-F2F", "FF-FS", "FF-NT", "FaceForensics++", "FaceShifter")


def as_its_loader_reads(root: Path, prefix: str, name: str, mode: str, compression: str) -> list:
    """What DeepfakeBench documents of its loader, written anew: path, label and video of frames."""
    data = json.loads((root / "dataset_json" / f"{name}.json").read_text())
    extra = (root / "label_dict.yaml").read_text().splitlines()[1:]
    labels = {k.strip(): int(v) for k, v in (line.split(":") for line in extra)} | LOADER_LABELS
    found = []
    for label in data[name]:
        videos = data[name][label][mode]
        if name in COMPRESSED:
            videos = videos[compression]
        for video in videos.values():
            number = labels[video["label"]]
            frames = sorted(video["frames"], key=lambda p: int(p.split("/")[-1].split(".")[0]))
            assert frames
            for frame in frames:
                assert frame[0] == "."
                assert frame.count("frames") == 1
                path = root / frame.removeprefix(f"{prefix}/")
                assert path.suffix == ".png"
                found.append((path, number, frame.split("/")[-2]))
    return found


def test_deepfakebench_reads_them(exported: Path, wanted: dict[str, Any]) -> None:
    root = exported / "deepfakebench"
    by_path = {row["path"]: row["sample_id"] for row in lines(root / "samples.csv")}
    assert set(by_path.values()) == set(wanted)
    lists = sorted(p.stem for p in (root / "dataset_json").glob("*.json"))
    assert "FaceForensics++" in lists
    seen, videos = set(), {}
    for name in lists:
        for mode in ("train", "val", "test"):
            for path, label, video in as_its_loader_reads(
                root, "./datasets/faceshards", name, mode, "c23"
            ):
                sample_id = by_path[path.relative_to(root).as_posix()]
                folder, sample = wanted[sample_id]
                seen.add(sample_id)
                assert label == sample.about["label"]
                assert mode == sample.about["split"]
                assert (pixels(path.read_bytes()) == pixels(sample.jpg)).all()
                # Video metrics group by the name of the folder alone.
                named = (sample.about["video_id"], sample.about["method"])
                assert videos.setdefault(video, named) == named
                if folder == "expanded":
                    mask = Path(str(path).replace("frames", "masks"))
                    assert mask.read_bytes() == sample.members["mask.png"]
    assert seen == set(wanted)
    assert len(set(videos.values())) == len(videos)


def test_fiftyone_reads_them(exported: Path, wanted: dict[str, Any]) -> None:
    """As its importer for datasets on disk: samples with paths, tags and labels of its classes."""
    root = exported / "fiftyone"
    assert json.loads((root / "metadata.json").read_text())["media_type"] == "image"
    found = json.loads((root / "samples.json").read_text())["samples"]
    assert {row["sample_id"] for row in found} == set(wanted)
    for row in found:
        name, sample = wanted[row["sample_id"]]
        assert (root / row["filepath"]).read_bytes() == sample.jpg
        assert row["tags"] == [name]
        assert row["ground_truth"]["_cls"] == "Classification"
        assert row["ground_truth"]["label"] == ("real", "fake")[sample.about["label"]]
        [box] = row["face"]["detections"]
        left, top, width, height = (round(224 * v, 6) for v in box["bounding_box"])
        assert [left, top, left + width, top + height] == pytest.approx(sample.about["box"])
        assert row["video_id"] == sample.about["video_id"]


@pytest.mark.parametrize("sample_id", ["a/b/../../../etc/x", "a/b//c", "a/b/\\c", "a/b/c\0d"])
def test_no_id_leads_out_of_the_folder(sample_id: str) -> None:
    from faceshards.export.forms import checked_path

    with pytest.raises(UserError, match="cannot be the name of a file"):
        checked_path(sample_id)
