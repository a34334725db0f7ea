"""Each form is read by rules or libraries that are not ours."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from faceshards import export
from faceshards.errors import UserError
from faceshards.reading import Shards
from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import DatasetsParams
from pipeline.datasets.scan import scan
from pipeline.labels import semantics
from tests.shards.made import SEMANTICS

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


SAME = ("split", "label", "method", "category", "compression")
PEOPLE = ("identity", "source_id", "target_id", "pair_id", "leak_group")


def come_back(adapter: str, root: Path, tmp_path: Path, name: str, **options: str) -> list[dict]:
    """Rows of the table ``videos`` of what lies at a root."""
    entry = DatasetEntry(name, adapter, (root,), options)
    # Made images are alike; whether they are copies of each other is not asked here.
    params = DatasetsParams()
    found = scan({name: entry}, params, semantics.load(SEMANTICS), tmp_path / "stat.json")
    return found.videos.to_pylist()


def of_dataset(wanted: dict[str, Any], name: str) -> dict[str, Any]:
    """The samples that are no expanded ones."""
    return {
        i: s
        for i, (folder, s) in wanted.items()
        if s.about["dataset"] == name and folder != "expanded"
    }


def check_people(row: dict[str, Any], about: dict[str, Any]) -> None:
    """Ids of people get the dataset in front where they have none, as in the adapter's rules."""
    for name in PEOPLE:
        if row[name]:
            assert row[name] in (about[name], f"{about['dataset']}:{about[name]}"), name
        else:
            assert not about[name]


@pytest.mark.parametrize("dataset", ["ffpp", "wild"])
def test_csv_comes_back_with_the_same_ids(exported, wanted, tmp_path, dataset) -> None:
    root = exported / "csv" / dataset
    found = come_back("csv", root, tmp_path, dataset, manifest="samples.csv")
    samples = of_dataset(wanted, dataset)
    assert {row["video_id"] for row in found} == set(samples)
    for row in found:
        sample = samples[row["video_id"]]
        assert (root / row["path"]).read_bytes() == sample.jpg
        assert [row[k] for k in SAME] == [sample.about[k] for k in SAME]
        check_people(row, sample.about)
    if dataset == "ffpp":
        listed = {line["id"] for line in lines(root / "expanded.csv")}
        assert listed == {i for i, (folder, _) in wanted.items() if folder == "expanded"}


def test_folders_come_back_with_the_same_ids(exported, wanted, tmp_path) -> None:
    layout = "{split}/{label}/ffpp/{method}/{id}"
    root = exported / "folder"
    found = come_back("imagefolder", root, tmp_path, "ffpp", layout=layout)
    samples = of_dataset(wanted, "ffpp")
    assert {row["video_id"] for row in found} == set(samples)
    for row in found:
        sample = samples[row["video_id"]]
        assert (root / row["path"]).read_bytes() == sample.jpg
        assert [row[k] for k in SAME[:4]] == [sample.about[k] for k in SAME[:4]]


@pytest.mark.parametrize("dataset", ["ffpp", "wild"])
def test_parquet_files_come_back_with_the_same_ids(exported, wanted, tmp_path, dataset) -> None:
    columns = "id=sample_id, split=split, label=label, method=method, identity=identity, "
    columns += "target=target_id, source=source_id, pair=pair_id, group=leak_group"
    root = exported / "huggingface/data" / dataset
    found = come_back("parquet", root, tmp_path, dataset, columns=columns)
    samples = of_dataset(wanted, dataset)
    assert {row["video_id"] for row in found} == set(samples)
    for row in found:
        sample = samples[row["video_id"]]
        assert [row[k] for k in SAME[:4]] == [sample.about[k] for k in SAME[:4]]
        check_people(row, sample.about)
        file, _, place = row["path"].partition("!")
        column, group, number = place.split("/")
        cells = pq.ParquetFile(root / file).read_row_group(int(group), columns=[column])
        assert cells[column][int(number)].as_py()["bytes"] == sample.jpg


@pytest.mark.parametrize(("dataset", "of"), [("ffpp", "FaceForensics++"), ("wild", "wild")])
def test_deepfakebench_comes_back_with_the_same_ids(exported, wanted, tmp_path, dataset, of):
    """A row is a video there, and its frames are PNGs of the same pixels."""
    root = exported / "deepfakebench"
    lists = f"dataset_json/{of}.json"
    found = come_back("deepfakebench", root, tmp_path, dataset, lists=lists)
    samples = of_dataset(wanted, dataset)
    of_video = {s.about["video_id"]: s.about for s in samples.values()}
    assert {row["video_id"] for row in found} == set(of_video)
    named = {row["path"]: row["sample_id"] for row in lines(root / "samples.csv")}
    for row in found:
        assert [row[k] for k in SAME] == [of_video[row["video_id"]][k] for k in SAME]
        for frame in (root / row["path"]).iterdir():
            sample = samples[named[frame.relative_to(root).as_posix()]]
            assert sample.about["video_id"] == row["video_id"]
            assert (pixels(frame.read_bytes()) == pixels(sample.jpg)).all()


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
