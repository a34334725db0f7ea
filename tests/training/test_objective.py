"""Named losses, their weights, and gradients that reach the model."""

import numpy as np
import pytest
import torch

from pipeline import models
from pipeline.config import objectives
from pipeline.config.objectives import LevelWeights, MetricLearningParams, SjeddParams
from pipeline.config.run_params import ModelParams
from pipeline.training import triplets
from pipeline.training.data import TrainingBatch, normalised
from pipeline.training.objective import OBJECTIVES, make_objective
from tests.training import made

VIT = models.build(ModelParams("vit", "tiny"), None)
JOINT = models.build(ModelParams("joint_embedding", "tiny"), made.GRAPH)
IMAGES = torch.from_numpy(np.stack([made.face(n) for n in range(6)]))
LABELS = torch.tensor([0, 1, 0, 1, 1, 0])
VECTORS = torch.tensor([made.VECTORS[int(y)] for y in LABELS], dtype=torch.int8)
BATCH = TrainingBatch(IMAGES, LABELS, VECTORS, LABELS)


def _outputs(model):
    return model(normalised(IMAGES, model.mean, model.std))


def test_metric_learning_is_cross_entropy_plus_weighted_triplet():
    params = MetricLearningParams("metric_learning", "batch_all", triplet_weight=0.25)
    objective = make_objective(params, VIT, None)
    parts = objective.losses(_outputs(VIT), BATCH)
    assert list(parts) == list(objective.weights.current) == ["cross_entropy", "triplet"]
    expected = torch.nn.CrossEntropyLoss()(_outputs(VIT).logits, LABELS)
    assert parts["cross_entropy"].item() == pytest.approx(expected.item(), rel=1e-6)
    total = parts["cross_entropy"] + 0.25 * parts["triplet"]
    assert objective.total(parts).item() == pytest.approx(total.item(), rel=1e-6)
    assert objective.primary == "cross_entropy"


def test_the_margin_reaches_the_triplet_loss():
    found = []
    for margin in (0.1, 2.0):
        params = MetricLearningParams("metric_learning", "batch_all", triplet_margin=margin)
        parts = make_objective(params, VIT, None).losses(_outputs(VIT), BATCH)
        found.append(parts["triplet"].item())
    assert found[1] > found[0] > 0


def test_losses_are_over_the_classes_of_an_attribution():
    model = models.build(ModelParams("vit", "tiny"), None, classes=3)
    classes = torch.tensor([0, 1, 0, 2, 1, 0])
    outputs = _outputs(model)
    params = MetricLearningParams("metric_learning", "batch_all", attribution="category")
    parts = make_objective(params, model, None).losses(
        outputs, TrainingBatch(IMAGES, LABELS, VECTORS, classes)
    )
    expected = torch.nn.CrossEntropyLoss()(outputs.logits, classes)
    assert parts["cross_entropy"].item() == pytest.approx(expected.item(), rel=1e-6)
    triplet = triplets.batch_all(outputs.embedding, classes, params.triplet_margin)
    assert parts["triplet"].item() == triplet.item()
    assert triplet != triplets.batch_all(outputs.embedding, LABELS, params.triplet_margin)


def test_without_triplet_there_is_cross_entropy_alone():
    objective = make_objective(MetricLearningParams("metric_learning", "none"), VIT, None)
    parts = objective.losses(_outputs(VIT), BATCH)
    assert list(parts) == ["cross_entropy"]
    assert objective.total(parts).item() == parts["cross_entropy"].item()


def test_sjedd_weights_the_levels():
    weights = LevelWeights(1.0, 0.5, 0.0)
    params = SjeddParams("sjedd", graph="ffpp", loss_weights=weights)
    objective = make_objective(params, JOINT, made.GRAPH)
    parts = objective.losses(_outputs(JOINT), BATCH)
    assert list(parts) == ["root", "global_attributes", "local_regions"]
    assert objective.primary == "root"
    p = JOINT.node_probabilities(_outputs(JOINT))[:, 0]
    agreement = torch.where(LABELS == 1, p, 1 - p).sqrt()
    assert parts["root"].item() == pytest.approx((1 - agreement).mean().item(), abs=2e-4)
    total = parts["root"] + 0.5 * parts["global_attributes"]
    assert objective.total(parts).item() == pytest.approx(total.item(), rel=1e-6)


def test_unobserved_labels_count_for_nothing():
    params = SjeddParams("sjedd", graph="ffpp")
    objective = make_objective(params, JOINT, made.GRAPH)
    root_only = VECTORS.clone()
    root_only[:, 1:] = -1
    parts = objective.losses(_outputs(JOINT), TrainingBatch(IMAGES, LABELS, root_only, LABELS))
    whole = objective.losses(_outputs(JOINT), BATCH)
    assert parts["root"].item() == whole["root"].item()
    assert parts["global_attributes"].item() == parts["local_regions"].item() == 0


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (VIT, MetricLearningParams("metric_learning", "batch_all")),
        (JOINT, SjeddParams("sjedd", graph="ffpp")),
    ],
)
def test_gradients_reach_every_parameter_and_are_finite(model, params):
    objective = make_objective(params, model, made.GRAPH)
    model.zero_grad()
    objective.total(objective.losses(_outputs(model), BATCH)).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_every_objective_that_params_can_name_is_there_and_no_other():
    assert list(OBJECTIVES) == list(objectives.OBJECTIVES)
    for kind, of in objectives.OBJECTIVES.items():
        assert of(kind).kind == kind
        assert of(kind).architectures
        assert of(kind).words()


def test_an_unknown_objective_is_taken_for_no_other():
    class Unlisted(objectives.ObjectiveParams):
        kind = "unlisted"
        architectures = ("joint_embedding",)

        def words(self):
            return ""

    with pytest.raises(KeyError, match="unlisted"):
        make_objective(Unlisted(), JOINT, made.GRAPH)


def test_a_perfect_guess_is_shown_as_0_and_chosen_by_what_it_is():
    objective = make_objective(SjeddParams("sjedd", graph="ffpp"), JOINT, made.GRAPH)
    perfect = -1.0000000494736474e-04
    assert objective.shown(perfect) == 0.0
    assert objective.shown(0.25) == 0.25


def test_sjedd_without_a_graph_is_a_bug_not_a_guess():
    with pytest.raises(ValueError, match="graph"):
        make_objective(SjeddParams("sjedd", graph="ffpp"), JOINT, None)
