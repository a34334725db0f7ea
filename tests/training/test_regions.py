"""A tiny joint embedding finds which region of a face was altered."""

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.models.scores import auc
from pipeline.training import checkpoint
from pipeline.training.data import normalised
from pipeline.training.inputs import read
from pipeline.training.loop import train
from tests.training import made

AMPLITUDE = 60.0
# Rows of SJEDD's Table I, and where such a region lies in 64 px: top, bottom, left, right.
REGIONS = {
    "eye": ([1, -1, 0, 1, 1, 0, 0, 0, 0, 0], (16, 32, 0, 64)),
    "nose": ([1, 0, 0, 1, 0, 0, 0, 0, 1, 0], (32, 48, 0, 64)),
    "mouth": ([1, -1, 0, 1, 0, 0, 1, 1, 0, 0], (48, 64, 0, 64)),
}


def _faces(first, count):
    """Reals, and faces with a trace of its own in one region, by turns."""
    samples = []
    for number in range(first, first + count):
        image, which = made.face(number), number % 4
        if which == 3:
            samples.append(made.Sample(image, 0, [0] * 10))
            continue
        region = list(REGIONS)[which]
        vector, (top, bottom, left, right) = REGIONS[region]
        wave = np.sin(np.arange(made.SIDE_PX) * np.pi / 2 + 0.5)  # (64,)
        trace = {"eye": wave[:, None], "nose": wave[None], "mouth": wave[:, None] * wave}[region]
        stripes = np.zeros((made.SIDE_PX, made.SIDE_PX))
        stripes[top:bottom, left:right] = np.broadcast_to(AMPLITUDE * trace, stripes.shape)[
            top:bottom, left:right
        ]
        changed = np.clip(image + stripes[..., None], 0, 255).round().astype(np.uint8)
        samples.append(made.Sample(changed, 1, vector, category="local"))
    return samples


@pytest.mark.slow
def test_the_region_of_an_artefact_is_found(tmp_path):
    made.shards(tmp_path, "train", _faces(0, 400))
    made.shards(tmp_path, "val", _faces(10_000, 120))
    run = made.run(made.sjedd(8, rate=2e-3))
    train(run, tmp_path, tmp_path / "toy", tmp_path / "toy.csv")
    model = models.skeleton(run.params.model, made.GRAPH)
    model.load_state_dict(checkpoint.load(tmp_path / "toy/best.pt")["model"])
    faces = read(run, tmp_path, model.image_px).val
    (batch,) = faces.batches(faces.in_order(len(faces)))
    with torch.inference_mode():
        outputs = model.eval()(normalised(batch.images, model.mean, model.std))
        found = model.node_probabilities(outputs).numpy()
    labels = batch.vectors.numpy()
    for region in ("eye", "nose", "lip", "mouth"):
        node = made.GRAPH.nodes.index(region)
        assert auc(labels[:, node], found[:, node]) > 0.9, region
    # For most fakes the likeliest region is an altered one; for most reals none is likely.
    regions = found[:, 4:]
    right = [labels[n, 4 + regions[n].argmax()] == 1 for n in range(len(labels)) if labels[n, 0]]
    assert np.mean(right) > 0.8
    assert np.mean(regions[labels[:, 0] == 0].max(axis=1) < 0.5) > 0.8
