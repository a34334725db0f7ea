"""Where classifiers look: against a planted patch, and against a gradient by finite differences."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.config.run_params import ModelParams
from pipeline.labels import semantics
from pipeline.models import Classifier
from pipeline.models.relevance import last_block, relevance

GRAPH = semantics.load(Path("manifests/semantics.yaml")).graph("ffpp")


def made(architecture: str) -> Classifier:
    params = ModelParams(architecture=architecture, size="tiny")  # type: ignore[arg-type]
    return models.build(params, GRAPH if architecture == "joint_embedding" else None).eval()


@pytest.mark.parametrize("architecture", ["vit", "joint_embedding"])
def test_it_is_one_map_of_patches_per_face_and_leaves_no_hook(architecture: str) -> None:
    model = made(architecture)
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    found = relevance(model, images.clone())
    assert found.shape == (3, 4, 4)
    assert found.min() >= 0
    assert set(found.max(axis=(1, 2)).tolist()) <= {0.0, 1.0}
    assert found.max() == 1
    assert not last_block(model)._forward_pre_hooks
    one = relevance(model, images[1:2].clone())
    np.testing.assert_allclose(one[0], found[1], atol=1e-5)


@pytest.mark.parametrize("architecture", ["vit", "joint_embedding"])
def test_it_is_grad_cam_by_finite_differences(architecture: str) -> None:
    """The same map from slopes that are measured by moving the tokens before the last block."""
    model = made(architecture).double()
    images = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    tokens: list[torch.Tensor] = []
    moved: list[torch.Tensor | None] = [None]

    def look(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        tokens.append(given[0])
        return (given[0] if moved[0] is None else moved[0], *given[1:])

    hook = last_block(model).register_forward_pre_hook(look)
    with torch.no_grad():
        model(images)
        base, step = tokens[0], 1e-4
        slopes = torch.zeros(base.shape[2], dtype=torch.float64)
        for channel in range(base.shape[2]):
            ends = []
            for sign in (1, -1):
                shifted = base.clone()
                shifted[:, 1:, channel] += sign * step
                moved[0] = shifted
                ends.append(float(model.fake_log_odds(model(images))))
            slopes[channel] = (ends[0] - ends[1]) / (2 * step) / (base.shape[1] - 1)
    hook.remove()
    wanted = (base[0, 1:] @ slopes).clamp(min=0)
    wanted = (wanted / wanted.max()).reshape(4, 4)
    np.testing.assert_allclose(relevance(model, images.clone())[0], wanted.numpy(), atol=1e-4)
