"""The learning rate in every layer, and who gets weight decay."""

from dataclasses import replace

import pytest
import torch

from pipeline import models
from pipeline.config.run_params import ModelParams, OptimizerParams
from pipeline.training import optim
from tests.training import made

PARAMS = OptimizerParams(2e-3, 0.05, epochs=10, batch_size=8, warmup_epochs=2)


def test_the_groups_of_vit_b_are_fsfms():
    model = models.skeleton(ModelParams("vit", "vit-b16"), None)
    optimizer = optim.make_optimizer(model, OptimizerParams(layer_decay=0.75))
    names = {id(p): name for name, p in model.named_parameters()}
    listed = [
        (g["layer"], g["weight_decay"], len(g["params"]), sum(p.numel() for p in g["params"]))
        for g in optimizer.param_groups
    ]
    width, patch = 768, 16 * 16 * 3
    block = [
        # Four matrices of a block: q, k and v as one, projection, two of the MLP.
        (0.05, 6, 3 * width**2 + width**2 + 2 * 4 * width**2),
        # Their biases, and two norms.
        (0.0, 10, 3 * width + width + 4 * width + width + 4 * width),
    ]
    assert listed == [
        (0, 0.05, 1, patch * width),
        (0, 0.0, 3, width + width + 197 * width),  # bias of the patches, token, positions
        *((layer, *group) for layer in range(1, 13) for group in block),
        (13, 0.05, 1, 2 * width),
        (13, 0.0, 3, 2 + 2 * width),  # bias of the head, norm behind the mean
    ]
    assert sum(n for *_, n in listed) == sum(p.numel() for p in model.parameters()) == 85_800_194
    last = [names[id(p)] for g in optimizer.param_groups[-2:] for p in g["params"]]
    assert sorted(last) == ["fc_norm.bias", "fc_norm.weight", "head.bias", "head.weight"]
    optim.set_learning_rate(optimizer, 1e-4)
    for group in optimizer.param_groups:
        assert group["lr"] == pytest.approx(1e-4 * 0.75 ** (13 - group["layer"]), rel=1e-12)


def test_each_layer_moves_at_its_own_rate():
    params = OptimizerParams(1e-3, 0.0, layer_decay=0.5)
    model = models.build(ModelParams("vit", "tiny"), None)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = optim.make_optimizer(model, params)
    optim.set_learning_rate(optimizer, 1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    layers = model.layers()
    assert set(layers.values()) == {0, 1, 2, 3}
    for name, parameter in model.named_parameters():
        # The first step of Adam is the rate, whatever the gradient.
        moved = (before[name] - parameter.detach()).double()
        expected = torch.full_like(moved, 1e-3 * 0.5 ** (3 - layers[name]))
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=2e-7)


def test_without_layer_decay_there_are_two_groups_at_the_full_rate():
    for params in (ModelParams("vit", "tiny"), ModelParams("joint_embedding", "tiny")):
        optimizer = optim.make_optimizer(models.build(params, made.GRAPH), PARAMS)
        optim.set_learning_rate(optimizer, 0.5)
        assert [(g["weight_decay"], g["lr"]) for g in optimizer.param_groups] == [
            (0.05, 0.5),
            (0.0, 0.5),
        ]


def test_a_model_without_one_order_of_layers_cannot_decay_by_layer():
    model = models.build(ModelParams("joint_embedding", "tiny"), made.GRAPH)
    with pytest.raises(ValueError, match="no one order"):
        optim.make_optimizer(model, OptimizerParams(layer_decay=0.75))


def test_where_nothing_is_spared_everything_that_learns_decays():
    model = models.build(ModelParams("joint_embedding", "tiny"), made.GRAPH)
    optimizer = optim.make_optimizer(model, replace(PARAMS, decay_exempt="none"))
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == 0.05
    assert len(group["params"]) == sum(p.requires_grad for p in model.parameters())


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
