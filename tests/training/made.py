"""Shard folders made from images, labels and vectors in a few lines, and small runs on them."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from faceshards import fields, images, keys, tar
from pipeline import tables
from pipeline.config.objectives import MetricLearningParams, SjeddParams
from pipeline.config.run_params import ModelParams, OptimizerParams, RunParams
from pipeline.labels import semantics
from pipeline.shards.folder_index import LabelFacts, tar_facts, write_folder_index
from pipeline.training.inputs import Run
from tests.expansion.faces import SIZE_PX, points

ROOT = Path(__file__).parents[2]
GRAPH = semantics.load(ROOT / "manifests" / "semantics.yaml").graph("ffpp")
SIDE_PX = 64
VECTORS = {0: [0] * 10, 1: [1, -1, 1, 1, 1, 1, 1, 1, 1, 1]}
"""A real's, and a Deepfake's (SJEDD, Table I)."""


@dataclass(frozen=True)
class Sample:
    """One face to be packed."""

    image: np.ndarray
    label: int
    vector: list[int]
    category: str = "FS"
    """Of a fake."""
    dataset: str = "toy"
    landmarks: tuple[float, ...] = ()


def face(number: int) -> np.ndarray:
    """A smooth RGB image of 64 px, another one for each number."""
    small = np.random.default_rng(number).integers(40, 216, (5, 5, 3), np.uint8)
    return cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)


def planted(first: int, count: int, amplitude: float = 4.0) -> list[Sample]:
    """Real and fake faces by turns; fakes carry faint stripes, the same seen in a mirror."""
    stripes = amplitude * np.sin(np.arange(SIDE_PX) * np.pi / 2 + 0.5)[:, None, None]
    samples = []
    for number in range(first, first + count):
        label = number % 2
        image = face(number)
        if label:
            image = np.clip(image + stripes, 0, 255).round().astype(np.uint8)
        samples.append(Sample(image, label, VECTORS[label]))
    return samples


def planted_kinds(first: int, count: int) -> list[Sample]:
    """Real and fake faces by turns; the stripes of every other two fakes lie across.

    They are twice as strong as those of :func:`planted`. The two kinds of fakes differ in their
    category and in their dataset.
    """
    samples = []
    for place, sample in enumerate(planted(first, count, 8.0)):
        if sample.label and place // 4 % 2:
            turned = planted(place + first, 1, 8.0)[0].image.swapaxes(0, 1)
            sample = replace(sample, image=np.ascontiguousarray(turned), category="RE")
            sample = replace(sample, dataset="other")
        samples.append(sample)
    return samples


LANDMARKS = tuple(((points() + 0.5) * (SIDE_PX / SIZE_PX) - 0.5).ravel().tolist())


def blended(first: int, count: int) -> list[Sample]:
    """Real faces with landmarks and fakes by turns.

    All reals carry the same stripes, as a camera's pattern; the middle of a fake is from another
    picture, moved a little.
    """
    stripes = 24 * np.sin(np.arange(SIDE_PX) * np.pi / 2 + 0.5)[:, None, None]
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2
    soft = np.clip((18 - np.hypot(x, y)) / 4 + 0.5, 0, 1)[:, :, None]  # (side, side, 1)
    samples = []
    for number in range(first, first + count):
        image, label = np.clip(face(number) + stripes.swapaxes(0, 1), 0, 255), number % 2
        if label:
            image = image + soft * (np.roll(image, 2, axis=1) - image)
        image = np.rint(image).astype(np.uint8)
        samples.append(Sample(image, label, VECTORS[label], landmarks=LANDMARKS))
    return samples


def relabelled(samples: list[Sample]) -> list[Sample]:
    """The same images with labels that say nothing: each kind of image gets all kinds of labels.

    They are shared out in the proportions that the first eight samples have.
    """
    seen: Counter[tuple[int, str]] = Counter()
    shuffled = []
    for sample in samples:
        kind = (sample.label, sample.category)
        shuffled.append(replace(samples[seen[kind] % 8], image=sample.image))
        seen[kind] += 1
    return shuffled


def shards(root: Path, name: str, samples: list[Sample], per_tar: int = 100) -> Path:
    """A shard folder of these samples, in this order."""
    folder = root / name
    folder.mkdir(parents=True)
    rows, facts, made = [], {}, 0
    for start in range(0, len(samples), per_tar):
        path = folder / f"toy-{start // per_tar:05d}.tar"
        here = []
        with path.open("wb") as file:
            for sample in samples[start : start + per_tar]:
                here.append(_append(file, name, path.name, sample, made))
                made += 1
            tar.finish(file)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        table = tables.from_rows("index_expanded", here)
        facts[path.name] = tar_facts(table["label"].to_pylist(), path.stat().st_size, digest)
        rows.append(table)
    labels = LabelFacts(
        GRAPH.name, [GRAPH], lambda graph, data, method, label, kind: VECTORS[label]
    )
    write_folder_index(folder, name, rows, facts, labels)
    return folder


def _append(file, name, tar_name, sample, number):
    video = keys.video_id(sample.dataset, "fake" if sample.label else "real", f"{name}{number}")
    sample_id = keys.face_id(video, 0, 0)
    method = "fake" if sample.label else "real"
    split = "train" if name == fields.EXPANDED else name
    row = fields.absent() | {"sample_id": sample_id, "key": keys.encode_id(sample_id)}
    row |= {"tar": tar_name, "face_id": sample_id, "video_id": video, "split": split}
    row |= {"label": sample.label, "vector": sample.vector, "graph": GRAPH.name}
    row |= {"dataset": sample.dataset, "method": method}
    row["category"] = sample.category if sample.label else "real"
    row |= {"sample": 0, "time_s": 0.0, "rank": 0, "track": 0}
    row |= {"face_px": 50.0, "padded": 0.0, "sharpness": 1.0, "brightness": 100.0, "altered": -1.0}
    start = file.tell()
    jpeg = images.encode_jpeg(sample.image, 95, "4:4:4")
    row["jpg_offset"], row["jpg_size"] = tar.append(file, f"{row['key']}.jpg", jpeg)
    told = {"label": sample.label, "vector": sample.vector, "landmarks": sample.landmarks}
    about = json.dumps(told).encode()
    row["json_offset"], row["json_size"] = tar.append(file, f"{row['key']}.json", about)
    return row | {"offset": start, "size": file.tell() - start}


def metric_learning(
    epochs: int = 3,
    triplet: str = "batch_all",
    rate: float = 1e-3,
    attribution: str = "none",
) -> RunParams:
    """A tiny ViT."""
    return RunParams(
        ModelParams("vit", "tiny"),
        MetricLearningParams("metric_learning", triplet, attribution=attribution),
        "train",
        OptimizerParams(rate, 0.05, epochs, batch_size=16, warmup_epochs=1),
    )


def sjedd(epochs: int = 3, also: str = "train", rate: float = 1e-3) -> RunParams:
    """A tiny joint embedding."""
    return RunParams(
        ModelParams("joint_embedding", "tiny"),
        SjeddParams("sjedd", graph=GRAPH.name),
        also,
        OptimizerParams(rate, 0.001, epochs, batch_size=16, warmup_epochs=1),
    )


def run(params: RunParams, name: str = "toy", seed: int = 0) -> Run:
    """A run with these parameters."""
    graph = GRAPH if params.objective.graph else None
    return Run(name, params, seed, 1, graph)
