"""The learning rate at every step, and who gets weight decay."""

import math

import pytest
import torch

from pipeline import models
from pipeline.config.run_params import ModelParams, OptimizerParams
from pipeline.training import optim
from tests.training import made

PARAMS = OptimizerParams(2e-3, 0.05, epochs=10, batch_size=8, warmup_epochs=2)


def test_warm_up_is_linear_and_then_torchs_cosine_follows():
    steps = 5
    rates = [optim.learning_rate(PARAMS, n / steps) for n in range(10 * steps)]
    assert rates[: 2 * steps] == pytest.approx([2e-3 * n / (2 * steps) for n in range(2 * steps)])
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(other, T_max=8 * steps)
    for rate in rates[2 * steps :]:
        assert rate == pytest.approx(other.param_groups[0]["lr"], rel=1e-9)
        other.step()
        cosine.step()
    assert optim.learning_rate(PARAMS, 10.0) == pytest.approx(0.0, abs=1e-18)


def test_without_warm_up_the_first_step_has_the_full_rate():
    params = OptimizerParams(1.0, 0.0, epochs=4, batch_size=8, warmup_epochs=0)
    assert optim.learning_rate(params, 0.0) == 1.0
    assert optim.learning_rate(params, 2.0) == pytest.approx(0.5)
    assert optim.learning_rate(params, 1.0) == pytest.approx(0.5 + math.sqrt(0.5) / 2)


@pytest.mark.parametrize(
    ("params", "tokens"),
    [
        (ModelParams("vit", "tiny"), {"cls_token", "position_embeddings"}),
        (ModelParams("joint_embedding", "tiny"), {"position_embedding.weight"}),
    ],
)
def test_only_matrices_decay(params, tokens):
    model = models.build(params, made.GRAPH)
    optimizer = optim.make_optimizer(model, PARAMS)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    wanted = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert len(decay) == len(wanted)
    free = {name for name, p in wanted.items() if decay[id(p)] == 0}
    assert all(p.ndim <= 1 for n, p in wanted.items() if n in free and not _ends(n, tokens))
    assert all(any(_ends(name, {token}) for name in free) for token in tokens)
    assert {decay[id(p)] for n, p in wanted.items() if n not in free} == {0.05}
    assert any("embedding" in n or "patch" in n for n in wanted if n not in free)


def _ends(name, tokens):
    return name.endswith(tuple(tokens))
