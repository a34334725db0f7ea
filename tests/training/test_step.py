"""One update: in parts, clipped, in bfloat16, with drop path."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.config.training_options import ComputeParams
from pipeline.training import step, triplets
from pipeline.training.data import TrainingBatch, normalised
from pipeline.training.loss_weights import Prepared
from pipeline.training.objective import make_objective
from pipeline.training.step import Learner
from tests.training import made

LABELS = torch.tensor([0, 1, 0, 1, 1, 0, 1, 0])


def _batch(model, seed=0):
    images = torch.from_numpy(np.stack([made.face(100 * seed + n) for n in range(8)]))
    vectors = torch.tensor([made.VECTORS[int(y)] for y in LABELS], dtype=torch.int8)
    faces = TrainingBatch(images, LABELS, vectors, LABELS)
    return Prepared(normalised(images, model.mean, model.std), faces)


def _learner(params, dtype=torch.float32, **compute):
    params = replace(params, compute=ComputeParams(**compute))
    graph = made.GRAPH if params.objective.graph else None
    model = models.build(params.model, graph).to(dtype)
    return Learner(model, make_objective(params.objective, model, graph), params)


def _trained(params, steps=3, **compute):
    # In float32, Adam would make much of the rounding of gradients that should be 0.
    learner = _learner(params, torch.float64, **compute)
    learner.model.train()
    torch.manual_seed(0)
    losses = [learner.step(_batch(learner.model, n), None, 1e-3) for n in range(steps)]
    return learner.weights(), losses


@pytest.mark.parametrize(
    "params",
    [
        made.metric_learning(triplet="batch_all"),
        made.metric_learning(triplet="hard_positive_hard_negative"),
        made.metric_learning(triplet="none"),
        made.sjedd(),
    ],
)
def test_a_batch_in_parts_is_the_same_update(params):
    whole, losses = _trained(params)
    parts, found = _trained(params, accumulate=4)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-9, msg=name)
    assert list(found[-1]) == list(losses[-1])
    for name, loss in losses[-1].items():
        assert found[-1][name].item() == pytest.approx(loss.item(), abs=1e-9)


def test_both_passes_of_a_part_leave_out_the_same_branches():
    params = made.metric_learning(triplet="none")
    params = replace(params, model=replace(params.model, drop_path=0.5))
    learner = _learner(params, accumulate=2)
    learner.model.train()
    seen = []
    learner.model.register_forward_hook(lambda _m, _i, out: seen.append(out.logits.detach()))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    learner.step(_batch(learner.model), None, 1e-3)
    assert seen[0].equal(seen[2])
    assert seen[1].equal(seen[3])
    assert not torch.get_rng_state().equal(before)


def test_gradients_are_clipped_to_their_common_length(monkeypatch):
    params = made.metric_learning()
    params = replace(params, optimizer=replace(params.optimizer, clip_norm=0.01))
    learner = _learner(params)
    learner.step(_batch(learner.model), None, 1e-3)
    squares = sum(p.grad.double().square().sum().item() for p in learner.model.parameters())
    assert squares**0.5 == pytest.approx(0.01, rel=1e-3)


def test_in_bfloat16_products_are_short_and_losses_are_not(monkeypatch):
    learner = _learner(made.metric_learning(), precision="bf16")
    kinds = []
    learner.model.head.register_forward_hook(lambda _m, _i, out: kinds.append(out.dtype))
    real = triplets.pairwise_distances
    monkeypatch.setattr(triplets, "pairwise_distances", lambda x: kinds.append(x.dtype) or real(x))
    losses = learner.step(_batch(learner.model), None, 1e-3)
    assert kinds == [torch.bfloat16, torch.float32]
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert {p.dtype for p in learner.model.parameters()} == {torch.float32}
    exact = _learner(made.metric_learning()).losses(_batch(learner.model))
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(exact[name].item(), rel=0.02)


def test_a_fused_optimizer_makes_the_same_update_but_for_rounding():
    plain, _ = _trained(made.metric_learning())
    fused, _ = _trained(made.metric_learning(), fused=True)
    for name, value in plain.items():
        torch.testing.assert_close(fused[name], value, rtol=0, atol=1e-9, msg=name)


def test_a_compiled_model_keeps_its_names(monkeypatch):
    compiled = []
    monkeypatch.setattr(step.Classifier, "compile", lambda model: compiled.append(model))
    learner = _learner(made.metric_learning(), compiled=True)
    assert compiled == [learner.model]
    plain = _learner(made.metric_learning())
    assert list(learner.weights()) == list(plain.weights())
    assert compiled == [learner.model]
