"""A trained run over the faces of a shard folder: how probably each of them is fake."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from faceshards.reading import Shards
from faceshards.samples import Samples
from pipeline import models, tables
from pipeline.config.run_params import RunParams
from pipeline.errors import UserError
from pipeline.labels.semantics import Graph
from pipeline.models import Classifier, GraphClassifier
from pipeline.models.view import seen
from pipeline.tables import schemas
from pipeline.training import checkpoint, data

_FROM_INDEX = ("face_id", "video_id", "split", "dataset", "method", "category", "label")


def load_run(
    folder: Path, name: str, run: RunParams, seed: int, version: int, graph: Graph | None
) -> Classifier:
    """The best model of a trained run, on the CPU, ready for use.

    Args:
        folder: ``models/<run>``.
        name: of the run.
        run: its parameters.
        seed: of params.yaml.
        version: the number of ``train`` in versions.yaml.
        graph: the one that ``run.objective.graph`` names; None where it names none.

    Raises:
        UserError: there is no checkpoint, or it was trained with other parameters.
    """
    wanted = checkpoint.run_digest(name, run, seed, version, graph)
    state = checkpoint.load_best(folder, name, wanted)
    model = models.skeleton(run.model, graph, len(state["classes"]))
    model.load_state_dict(state["model"])
    return model.eval()


Change = Callable[[NDArray[np.uint8], str], NDArray[np.uint8]]
"""From a face (side, side, 3) RGB and its id to another picture of it."""


def score_faces(
    model: Classifier,
    shards: Shards,
    graph: str,
    batch_size: int,
    device: torch.device,
    change: Change | None = None,
) -> pa.Table:
    """Scores of all faces of a shard folder, in float32 and without augmentation.

    Args:
        model: in evaluation mode; it is moved to the device.
        shards: of the split val or test.
        graph: name of the graph that a joint embedding was built for; else "".
        batch_size: faces at once.
        device: where the model runs.
        change: what each face becomes before it is scored; None = itself.

    Returns:
        Table ``predictions_faces``, by face id.

    Raises:
        UserError: a image cannot be read, or the model's output is not a number.
    """
    model = model.to(device)
    scores, odds, nodes = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    with tqdm(
        total=len(shards), desc=shards.name, unit="face", disable=not sys.stderr.isatty()
    ) as bar:
        for fake, log_odds, altered in _scored(model, shards, batch_size, device, change):
            scores.append(fake)
            odds.append(log_odds)
            nodes.append(altered.ravel())
            bar.update(len(fake))
    columns = {name: shards.index.column(name) for name in _FROM_INDEX}
    columns["score"] = pa.array(np.concatenate(scores))
    columns["log_odds"] = pa.array(np.concatenate(odds))
    columns["graph"] = pa.array([graph] * len(shards), pa.string())
    flat = np.concatenate(nodes)  # (faces * N,)
    per_face = len(flat) // max(len(shards), 1)
    ends = per_face * np.arange(len(shards) + 1, dtype=np.int32)  # (faces + 1,)
    columns["node_probabilities"] = pa.ListArray.from_arrays(pa.array(ends), pa.array(flat))
    schema = schemas.schema("predictions_faces")
    table = pa.table([columns[name] for name in schema.names], schema=schema).sort_by("face_id")
    tables.check("predictions_faces", table)
    return table


def _scored(
    model: Classifier,
    shards: Shards,
    batch_size: int,
    device: torch.device,
    change: Change | None,
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Of each batch in the order of the index: score and log-odds (B,), altered nodes (B, N).

    N is 0 where the model has no graph.
    """
    faces = data.Faces(Samples([shards.folder], size_px=model.image_px))
    ids = iter(shards.index.column("face_id").to_pylist())
    for batch in faces.batches(faces.in_order(batch_size)):
        images = batch.images
        if change:
            changed = [change(image, next(ids)) for image in images.numpy()]
            images = torch.from_numpy(np.stack(changed))
        yield score_images(model, images.to(device))


def score_images(
    model: Classifier, images: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Probability of a fake (B,), its log-odds (B,) and that of each node being altered (B, N).

    Args:
        model: in evaluation mode.
        images: uint8 (B, image_px, image_px, 3) RGB on the model's device.

    Returns:
        Three float64 arrays; N is 0 where the model has no graph.

    Raises:
        UserError: the model's output is not a number.
    """
    with torch.inference_mode():
        pictures = data.standardised(seen(images, model.evaluation), model.mean, model.std)
        outputs = model(pictures)
        fake = _finite(model.fake_probability(outputs))  # (B,)
        log_odds = _finite(model.fake_log_odds(outputs))  # (B,)
        altered = np.empty((len(fake), 0))  # (B, 0)
        if isinstance(model, GraphClassifier):
            altered = _finite(model.node_probabilities(outputs))  # (B, N)
    return fake, log_odds, altered


def _finite(values: Tensor) -> NDArray[np.float64]:
    exact: NDArray[np.float64] = values.double().cpu().numpy()
    if not np.isfinite(exact).all():
        raise UserError(
            "The model's output is not a number: its training diverged. Lower the run's "
            "optimizer.learning_rate and train it anew."
        )
    return exact
