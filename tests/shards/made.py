"""A small set of tables, stores and shard folders, made without the engine."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa

from faceshards import fields, images, keys, tar
from pipeline import tables
from pipeline.config.params import JpegParams, ShardParams
from pipeline.engine.buckets import bucket_count, buckets_of
from pipeline.engine.rows import Plan
from pipeline.labels import semantics
from pipeline.shards.folder_index import LabelFacts, tar_facts, write_folder_index
from pipeline.shards.pack import PackTask, pack_plan
from pipeline.tables.sources import Held
from tests.tables.made import PLAIN_VIDEO

SEMANTICS = Path(__file__).parents[2] / "manifests" / "semantics.yaml"
LOSSLESS = "ffpp"
JPEG = JpegParams()
SHARDED = ShardParams(samples_per_shard=6)


@dataclass
class World:
    """Everything that the stage reads."""

    tables: dict[str, pa.Table]
    faces_store: Path
    expand_store: Path

    def plan(self) -> Plan:
        t = self.tables
        return pack_plan(
            *(Held(t[n]) for n in ("videos", "faces", "samples", "landmarks", "expanded")),
            semantics.load(SEMANTICS),
            {"ffpp": "faceforensics", "wild": "csv", "more": "csv"},
            SHARDED,
            self.faces_store,
            self.expand_store,
        )


def picture(seed: int) -> np.ndarray:
    """A smooth RGB picture of 224 px, another one for each seed."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(small, (224, 224), interpolation=cv2.INTER_CUBIC)


def world(root: Path, name: str = "clip", second: str = "wild") -> World:
    """Two datasets, three splits, real and fake, and expanded samples of the first one's train."""
    videos, faces, samples, landmarks = [], [], [], []
    faces_store, expand_store = root / "faces", root / "expand"
    faces_store.mkdir(parents=True)
    expand_store.mkdir()
    with (faces_store / "a.0123.tar").open("wb") as store:
        for seed, (dataset, method, split, number) in enumerate(_wanted(second)):
            video = keys.video_id(dataset, method, f"{name}.{number}é")
            videos.append(_video(video, dataset, method, split, number))
            for sample in range(2):
                face = keys.face_id(video, sample, 0)
                encoding = "png" if dataset == LOSSLESS else "jpg"
                image = picture(100 * seed + sample)
                data = images.encode_png(image)
                if encoding == "jpg":
                    data = images.encode_jpeg(image, JPEG.quality, JPEG.subsampling)
                stored = _store(store, face, encoding, data, "a.0123.tar")
                faces.append(_face(face, video, sample) | {"encoding": encoding} | stored)
                label = int(method != "real")
                samples.append(
                    {"face_id": face, "split": split, "label": label, "weight": 1.0, "quota": 2}
                )
                if split == "train":
                    points = np.random.default_rng(seed).uniform(20, 200, 136).tolist()
                    landmarks.append({"face_id": face, "points": points, "score": -1.0})
        tar.finish(store)
    targets = [f for f in faces if "ffpp/real" in f["video_id"]][:4]
    sources = [f for f in faces if "ffpp/Deepfakes" in f["video_id"]][2:]  # of other people
    with (expand_store / "b.4567.tar").open("wb") as store:
        expanded = [
            _expanded(store, target, source, region, seed)
            for seed, (target, source) in enumerate(zip(targets, sources, strict=False))
            for region in ("eye", "nose")
        ]
        tar.finish(store)
    films = [film(video["video_id"]) for video in videos]
    rows = {"videos": videos, "frames": films, "faces": faces, "samples": samples}
    rows |= {"landmarks": landmarks, "expanded": expanded}
    made = {table: tables.from_rows(table, found) for table, found in rows.items()}
    return World(made, faces_store, expand_store)


def shard(made: World, root: Path, jpeg: JpegParams | None = None) -> None:
    """What the engine and the stage do: every row worked in the plan's order, then the indexes."""
    task = PackTask(jpeg or JpegParams())
    task.open()
    plan = made.plan()
    indexes: dict[str, list[pa.Table]] = {folder: [] for folder in fields.FOLDERS}
    facts: dict[str, dict[str, Any]] = {folder: {} for folder in fields.FOLDERS}
    for group, rows in _partitions(plan):
        folder, name = group.split("/")
        path = root / folder / f"{name}.tar"
        path.parent.mkdir(parents=True, exist_ok=True)
        records = []
        with path.open("wb") as file:
            for row in rows:
                inputs = {column: row[column] for column in (*plan.content, *plan.location)}
                records.append(_work(task, row["sample_id"], inputs, file) | {"tar": path.name})
            tar.finish(file)
        index = tables.from_rows("index_expanded", records)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        facts[folder][path.name] = tar_facts(
            index["label"].to_pylist(), path.stat().st_size, sha256
        )
        indexes[folder].append(index)
    labels = label_facts()
    for folder in fields.FOLDERS:
        write_folder_index(root / folder, folder, indexes[folder], facts[folder], labels)


def label_facts() -> LabelFacts:
    """All graphs, and the vectors of what :func:`world` has."""
    known = semantics.load(SEMANTICS)

    def vector(graph: str, dataset: str, method: str, label: int, category: str) -> tuple[int, ...]:
        adapter = "faceforensics" if dataset == LOSSLESS else "csv"
        return known.vector(graph, dataset, adapter, method, label, category)

    return LabelFacts(SHARDED.graph, list(known.graphs.values()), vector)


def _partitions(plan: Plan) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    rows = plan.table.to_pylist()
    for group in sorted({row[plan.group_by] for row in rows}):
        mine = [row for row in rows if row[plan.group_by] == group]
        n = bucket_count(len(mine), SHARDED.samples_per_shard)
        buckets: dict[int, list[dict[str, Any]]] = {}
        for row in sorted(mine, key=lambda row: row[plan.order_by]):
            hashed = np.array([keys.hash64(row[plan.bucket_by])], np.uint64)
            buckets.setdefault(int(buckets_of(hashed, n)[0]), []).append(row)
        for number, (_, bucket) in enumerate(sorted(buckets.items())):
            yield f"{group}-{number:05d}", bucket


def _work(task: PackTask, row_id: str, inputs: dict[str, Any], file: io.BufferedWriter) -> Any:
    (output,) = task.work(inputs).outputs
    record = {**output.fields, **task.identify(row_id, output.fields)}
    start = file.tell()
    for member in output.members:
        at, size = tar.append(file, f"{record['key']}.{member.extension}", member.data)
        record |= {f"{member.column}offset": at, f"{member.column}size": size}
    return record | {"offset": start, "size": file.tell() - start}


def _wanted(second: str) -> Iterator[tuple[str, str, str, int]]:
    for dataset, fake in (("ffpp", "Deepfakes"), (second, "unheard-of")):
        for method in ("real", fake):
            for number, split in enumerate(("train", "train", "train", "val")):
                yield dataset, method, split, number


def _video(video: str, dataset: str, method: str, split: str, number: int) -> dict[str, Any]:
    return {
        "video_id": video,
        "dataset": dataset,
        "path": f"{video}.mp4",
        "media": "video",
        "split": split,
        "label": int(method != "real"),
        "method": method,
        "category": {"real": "real", "Deepfakes": "FS"}.get(method, "unknown"),
        "subtype": "",
        "audio_fake": -1,
        "identity": f"{dataset}/{number}",
        "target_id": "" if method == "real" else f"{dataset}/{number}",
        "source_id": "" if method == "real" else f"{dataset}/{number + 10}",
        "pair_id": f"{dataset}/{number}",
        "leak_group": f"{dataset}/{number}",
        "compression": "c23" if dataset == "ffpp" else "",
        "segments_s": [],
        "bytes": 1,
        "fingerprint": "00",
    } | PLAIN_VIDEO


def film(video: str) -> dict[str, Any]:
    """The first planned time of a video, as the table ``frames`` has it."""
    return {
        "video_id": video,
        "sample": 0,
        "part": 0,
        "time_s": 0.0,
        "container": "mp4",
        "codec": "h264",
        "width_px": 640,
        "height_px": 480,
        "rotation_deg": 0,
        "duration_s": 2.0,
        "average_fps": 25.0,
        "frame_count": 50,
        "transfer": "",
        "primaries": "",
    }


def _face(face: str, video: str, sample: int) -> dict[str, Any]:
    return {
        "face_id": face,
        "video_id": video,
        "sample": sample,
        "time_s": float(sample),
        "pts": 512 * sample,
        "rank": 0,
        "track": 0,
        "track_share": 0.5,
        "embedding": [],
        "detector": "dlib",
        "pose_deg": [-12.5, 3.0, 0.5],
        "box": [10.0625, 20.0, 110.0, 140.5],
        "score": 0.9876,
        "landmarks5": [],
        "affine": [1.0, 0.0, -10.0, 0.0, 1.0, -20.0],
        "crop_px": 224,
        "face_px": 120.5,
        "padded": 0.0,
        "sharpness": 33.333333,
        "brightness": 127.126,
        "altered": -1.0 if "/real/" in video else 0.125 * (sample % 4),
        "phash": "0123456789abcdef",
    }


def _expanded(
    store: io.BufferedWriter, target: dict[str, Any], source: dict[str, Any], region: str, seed: int
) -> dict[str, Any]:
    sample = keys.swap_id(target["face_id"], f"swap_{region}", 0)
    stored = _store(store, sample, "png", images.encode_png(picture(9000 + seed)), "b.4567.tar")
    mask = np.zeros((224, 224), np.uint8)
    mask[50:90, 40:180] = 255
    data = images.encode_png(mask)
    mask_offset, mask_size = tar.append(store, f"{keys.encode_id(sample)}.mask.png", data)
    return {
        "sample_id": sample,
        "generator": "swap",
        "method": f"swap_{region}",
        "region": region,
        "target_face_id": target["face_id"],
        "source_face_id": source["face_id"],
        "source_method": "Deepfakes",
        "distance": 12.345678,
        "align": "similarity",
        "dilate_px": 4,
        "blur_sigma_px": 4.015625,
        "mask_seed": -1,
        "color": "after",
        "max_gain": 2.0,
        "change": 9.8765,
        "color_gap": 1.5,
        "sharpness_gap": 1.25,
        "source_affine": [1.0, -0.0, 0.1234567, 0.0, 1.0, 2.0],
        "mask_offset": mask_offset,
        "mask_size": mask_size,
        "mask_digest": keys.digest128(data),
        **stored,
    }


def _store(
    store: io.BufferedWriter, sample: str, extension: str, data: bytes, name: str
) -> dict[str, Any]:
    offset, size = tar.append(store, f"{keys.encode_id(sample)}.{extension}", data)
    return {"digest": keys.digest128(data), "tar": name, "offset": offset, "size": size}
