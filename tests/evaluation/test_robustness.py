"""Changes of faces are what they say; numbers under them are those of the changed faces."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from faceshards.reading import Shards
from pipeline import models
from pipeline.config.run_params import ModelParams
from pipeline.evaluation import robustness
from pipeline.evaluation.measures import Rules
from pipeline.evaluation.score import score_faces
from tests.evaluation import made

KINDS = tuple(robustness.STRENGTHS)


def face(side_px=224):
    """Smooth shapes with fine texture on them."""
    draw = np.random.default_rng(0)
    smooth = cv2.resize(draw.integers(40, 216, (7, 7, 3)).astype(np.uint8), (side_px, side_px))
    return np.clip(smooth + draw.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_stronger_changes_change_more(kind):
    image = face()
    apart = [
        np.abs(robustness.changed(image, "a", kind, strength).astype(int) - image).mean()
        for strength in range(1, 6)
    ]
    assert all(a < b for a, b in pairwise(apart))
    assert apart[0] > 0
    again = robustness.changed(image, "a", kind, 3)
    assert (again == robustness.changed(image, "a", kind, 3)).all()
    assert (again.dtype, again.shape) == (np.uint8, image.shape)
    other = robustness.changed(image, "b", kind, 3)
    assert (other == again).all() == (kind != "noise")


def test_noise_and_blur_have_the_strength_they_say():
    grey = np.full((224, 224, 3), 128, np.uint8)
    for strength, sigma in enumerate(robustness.STRENGTHS["noise"], 1):
        noisy = robustness.changed(grey, "x", "noise", strength).astype(float)
        assert noisy.std() == pytest.approx((sigma**2 + 1 / 12) ** 0.5, rel=0.02)
        assert noisy.mean() == pytest.approx(128, abs=0.3)
    edge = grey.copy()
    edge[:, :112], edge[:, 112:] = 0, 255
    for strength, sigma in enumerate(robustness.STRENGTHS["blur"], 1):
        step = np.diff(robustness.changed(edge, "x", "blur", strength)[100, :, 0].astype(float))
        places = np.arange(len(step)) - (step * np.arange(len(step))).sum() / step.sum()
        assert ((places**2 * step).sum() / step.sum()) ** 0.5 == pytest.approx(sigma, rel=0.12)


@pytest.fixture(scope="module")
def world(shards):
    """A tiny model, the shards of test and their videos."""

    model = models.build(ModelParams("vit", "tiny"), None, 0).eval()
    test = Shards(shards / "test")
    columns = ("video_id", "split", "label")
    rows = sorted(set(zip(*(test.index.column(c).to_pylist() for c in columns), strict=True)))

    def score(change=None):
        return score_faces(model, test, "", 3, torch.device("cpu"), change)

    return score, made.videos(rows)


def test_every_face_is_changed_as_itself_and_measured(world):
    score, videos = world
    seen = []

    def change(image, key):
        seen.append(key)
        return image

    clean = score()
    assert score(change).equals(clean)
    assert sorted(seen) == clean.column("face_id").to_pylist()
    found = robustness.scored(("noise", "jpeg"), score)
    assert len(found) == 10
    assert not found["noise", 5].column("log_odds").equals(clean.column("log_odds"))
    numbers = robustness.metrics(found, clean, videos, Rules(resamples=5))
    assert list(numbers) == ["noise", "jpeg"]
    assert list(numbers["jpeg"]) == ["0", "1", "2", "3", "4", "5"]
    assert numbers["jpeg"]["0"] == numbers["noise"]["0"]
    assert set(numbers["jpeg"]["3"]["datasets"]) == {"ffpp", "wild"}
    strongest = numbers["noise"]["5"]["overall"]
    assert strongest["coverage"] == 1
    by_video = {}
    for row in found["noise", 5].to_pylist():
        by_video.setdefault((row["video_id"], row["label"]), []).append(row["score"])
    means = {key: np.mean(values) for key, values in by_video.items()}
    pairs = [
        (means[fake] > means[real]) + (means[fake] == means[real]) / 2
        for fake in means
        if fake[1]
        for real in means
        if not real[1]
    ]
    assert strongest["video_auc"] == pytest.approx(np.mean(pairs), abs=1e-9)
