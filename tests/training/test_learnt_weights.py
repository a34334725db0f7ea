"""Learnt weights of losses: against exact second derivatives, on made problems, and in a run."""

import csv
import math
from dataclasses import replace

import pytest
import torch
from torch.func import functional_call

from pipeline.training import loop
from pipeline.training.learnt_weights import AveragedWeights, BilevelWeights, weight_gradient
from pipeline.training.loop import train
from pipeline.training.loss_weights import Prepared
from pipeline.training.step import Learner
from tests.training import made

NAMES = ("root", "global_attributes", "local_regions")
WEIGHTS = dict(zip(NAMES, (1.0, 0.7, 1.3), strict=True))
RATE, DECAY = 0.05, 0.01


class _Net(torch.nn.Module):
    """Three outputs of one hidden layer, and a parameter that no loss depends on."""

    def __init__(self, hidden=6):
        super().__init__()
        torch.manual_seed(1)
        self.first = torch.nn.Linear(5, hidden)
        self.last = torch.nn.Linear(hidden, 3)
        self.unused = torch.nn.Parameter(torch.ones(2))
        self.double()

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def _batch(seed, n=8):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, dtype=torch.float64, generator=random)
    return Prepared(x, (torch.rand(n, 3, dtype=torch.float64, generator=random) > 0.5).double())


def _parts(outputs, labels):
    of = torch.nn.functional.binary_cross_entropy_with_logits
    return {name: of(outputs[:, i], labels[:, i]) for i, name in enumerate(NAMES)}


def _made():
    net = _Net()
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": DECAY},
        {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    return net, optimizer, lambda batch: _parts(net(batch.images), batch.faces)


def _exact(net, optimizer, batch, second):
    """The slope by differentiating through the step of descent."""
    weights = torch.tensor(list(WEIGHTS.values()), dtype=torch.float64, requires_grad=True)
    named = dict(net.named_parameters())
    parts = _parts(net(batch.images), batch.faces)
    total = sum(w * parts[name] for w, name in zip(weights, NAMES, strict=True))
    slopes = torch.autograd.grad(total, named.values(), create_graph=True, allow_unused=True)
    decay = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    behind = {
        name: p - RATE * ((0 if slope is None else slope) + decay[id(p)] * p)
        for (name, p), slope in zip(named.items(), slopes, strict=True)
    }
    primary = _parts(functional_call(net, behind, (second.images,)), second.faces)["root"]
    return torch.autograd.grad(primary, weights)[0]


def test_finite_differences_agree_with_exact_second_derivatives():
    for seed in range(3):
        net, optimizer, losses = _made()
        batch, second = _batch(seed), _batch(seed + 100)
        exact = _exact(net, optimizer, batch, second)
        found = weight_gradient(losses, optimizer, WEIGHTS, "root", batch, second)
        off = (found - exact).norm() / exact.norm()
        # docs/training.md states this bound.
        assert off < 1e-4


def test_parameters_and_their_gradients_are_bit_by_bit_what_they_were():
    net, optimizer, losses = _made()
    _parts(net(_batch(0).images), _batch(0).faces)["root"].backward()
    before = [(p.detach().clone(), p.grad) for p in net.parameters()]
    grads = [None if g is None else g.clone() for _, g in before]
    weights = BilevelWeights(WEIGHTS, "root", 1e-3)
    weights.before_step(losses, optimizer, _batch(1), _batch(2))
    assert weights.current != WEIGHTS
    for p, (value, grad), copy in zip(net.parameters(), before, grads, strict=True):
        assert p.detach().numpy().tobytes() == value.numpy().tobytes()
        assert p.grad is grad
        assert copy is None or torch.equal(p.grad, copy)


def test_parameters_are_put_back_where_a_loss_fails():
    net, optimizer, losses = _made()
    before = [p.detach().clone() for p in net.parameters()]
    calls = []

    def failing(batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return losses(batch)

    with pytest.raises(KeyboardInterrupt):
        weight_gradient(failing, optimizer, WEIGHTS, "root", _batch(1), _batch(2))
    assert all(torch.equal(p, one) for p, one in zip(net.parameters(), before, strict=True))


def test_at_a_rate_of_0_nothing_pulls_at_the_weights():
    _, optimizer, losses = _made()
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    found = weight_gradient(losses, optimizer, WEIGHTS, "root", _batch(1), _batch(2))
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_a_step_along_the_slope_lowers_the_primary_loss_behind_the_next_step():
    _, optimizer, losses = _made()
    batch, second = _batch(3), _batch(4)
    slope = weight_gradient(losses, optimizer, WEIGHTS, "root", batch, second)

    def behind(weights):
        one, _, of = _made()
        parts = of(batch)
        total = sum(weights[name] * parts[name] for name in NAMES)
        slopes = torch.autograd.grad(total, one.parameters(), allow_unused=True)
        with torch.no_grad():
            for p, s in zip(one.parameters(), slopes, strict=True):
                p.sub_(RATE * ((0 if s is None else s) + (DECAY if p.ndim > 1 else 0) * p))
        return of(second)["root"].item()

    moved = {n: w - 0.1 * s for (n, w), s in zip(WEIGHTS.items(), slope.tolist(), strict=True)}
    assert behind(moved) < behind(WEIGHTS)


def _noisy(seed, n=16):
    """Root and second loss ask for the same; the labels of the third are noise."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, dtype=torch.float64, generator=random)
    truth = (x.sum(dim=1) > 0).double()
    noise = (torch.rand(n, generator=random) > 0.5).double()
    return Prepared(x, torch.stack((truth, truth, noise), dim=1))


def _learnt(learns):
    """Weights and primary loss on unseen faces, behind 150 steps on one layer that all share."""
    net = torch.nn.Linear(5, 1).double()
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.02, weight_decay=0.0)
    weights = BilevelWeights(dict.fromkeys(NAMES, 1.0), "root", 0.02)

    def losses(batch):
        return _parts(net(batch.images).expand(-1, 3), batch.faces)

    for step in range(150):
        batch = _noisy(step)
        if learns:
            weights.before_step(losses, optimizer, batch, _noisy(10_000 + step))
        total = sum(weights.current[name] * loss for name, loss in losses(batch).items())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return weights.current, losses(_noisy(77_777, 500))["root"].item()


def test_where_one_level_is_noise_its_weight_falls_and_the_primary_loss_with_it():
    weights, learnt = _learnt(True)
    _, fixed = _learnt(False)
    assert weights["local_regions"] < 0.5 < 1 < weights["root"]
    assert weights["global_attributes"] > 1
    assert min(weights.values()) >= 0
    assert learnt < 0.9 * fixed


def test_averaged_weights_follow_the_formula():
    weights = AveragedWeights(WEIGHTS, temperature=2.0)
    means = [(1.0, 1.0, 1.0), (0.5, 1.0, 0.9), (0.4, 1.1, -1e-5)]
    seen = []
    for mean in means:
        seen.append(weights.columns())
        weights.after_epoch(dict(zip(NAMES, mean, strict=True)))
    assert seen[0] == seen[1] == {f"weight_{name}": w for name, w in WEIGHTS.items()}
    grown = [math.exp(r / 2) for r in (0.5, 1.0, 0.9)]
    assert list(seen[2].values()) == pytest.approx([3 * g / sum(grown) for g in grown])
    last = [math.exp(r / 2) for r in (0.8, 1.1, 1e-6 / 0.9)]
    assert list(weights.current.values()) == pytest.approx([3 * g / sum(last) for g in last])
    again = AveragedWeights(WEIGHTS, temperature=2.0)
    again.load_state_dict(weights.state_dict())
    for one in (weights, again):
        one.after_epoch(dict.fromkeys(NAMES, 0.3))
    assert again.current == weights.current


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    made.shards(root, "train", made.planted(0, 24))
    made.shards(root, "val", made.planted(1000, 16))
    return root


def _run(small, folder, **objective):
    params = made.sjedd(2)
    optimizer = replace(params.optimizer, batch_size=8)  # three steps per epoch
    params = replace(
        params,
        optimizer=optimizer,
        augmentation="sjedd",
        objective=replace(params.objective, **objective),
    )
    train(made.run(params), small, folder / "toy", folder / "toy.csv")
    with (folder / "toy.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    "objective",
    [
        {"weighting": "bilevel"},
        {"weighting": "bilevel", "weights_faces": "val", "loss": "cross_entropy"},
        {"weighting": "dwa"},
    ],
    ids=["bilevel", "held out", "averaged"],
)
def test_a_run_learns_its_weights_tells_them_and_goes_on_with_them(
    small, tmp_path, monkeypatch, objective
):
    rows = _run(small, tmp_path / "whole", **objective)
    columns = [f"weight_{name}" for name in NAMES]
    assert [name for name in rows[0] if name.startswith("weight_")] == columns
    if objective["weighting"] == "bilevel":
        assert all(float(rows[1][name]) != 1 for name in columns)
    monkeypatch.setattr(loop, "SAVE_EVERY_S", 0.0)
    real, steps = Learner.step, []

    def interrupted(self, *arguments):
        steps.append(1)
        if len(steps) == 5:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(Learner, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _run(small, tmp_path / "stopped", **objective)
    _run(small, tmp_path / "stopped", **objective)
    for name in ("toy/last.pt", "toy/best.pt", "toy.csv"):
        whole, stopped = (tmp_path / where / name for where in ("whole", "stopped"))
        assert stopped.read_bytes() == whole.read_bytes()
