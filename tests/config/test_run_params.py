"""Parameters of runs: what they may be, what they may not be together."""

import pytest

from pipeline import config
from pipeline.config import run_params
from pipeline.config.objectives import LevelWeights
from pipeline.config.run_params import DataParams, OptimizerParams
from pipeline.errors import UserError

VIT = "model: {architecture: vit, size: tiny}, objective: {kind: metric_learning}, also: train"
JOINT = (
    "model: {architecture: joint_embedding, size: tiny}, "
    "objective: {kind: sjedd, graph: ffpp}, also: expanded"
)


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return config.load(path)

    return load


def test_runs_arrive_typed_in_the_order_of_the_file(load):
    runs = load(f"runs:\n  b-1: {{{VIT}}}\n  a: {{{JOINT}, optimizer: {{epochs: 7}}}}\n").runs
    assert list(runs) == ["b-1", "a"]
    assert runs["b-1"].optimizer == OptimizerParams()
    assert runs["a"].optimizer == OptimizerParams(epochs=7)
    assert (runs["a"].model.architecture, runs["a"].also) == ("joint_embedding", "expanded")
    assert runs["a"].objective.loss_weights == LevelWeights(1.0, 1.0, 1.0)


def test_defaults_are_metric_learnings_constants():
    assert OptimizerParams() == OptimizerParams(1e-4, 0.05, 30, 64, 5)  # section 4.3


def test_no_runs_are_no_mistake(load):
    assert load("seed: 1").runs == {}
    assert load("runs: {}").runs == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"'a b': {{{VIT}}}", "the name runs.a b is 'a b', but must be a name of letters"),
        (f"'a;touch x': {{{VIT}}}", "the name runs.a;touch x"),
        (f"-a: {{{VIT}}}", "the name runs.-a"),
        (f"1: {{{VIT}}}", "the name runs.1 is 1, but must be a name"),
        ("a: 3", "runs.a is 3, but must be a section"),
        ("a: {also: train}", r"runs.a.model is missing; it has no default"),
        (
            "a: {model: {size: tiny}, also: train, objective: {kind: sjedd}}",
            "runs.a.model.architecture is missing",
        ),
        (
            f"a: {{{VIT[:-13]}}}",
            "runs.a.also is missing; it has no default",
        ),
        (f"a: {{{VIT}, optimiser: {{}}}}", "Nearest valid key: runs.a.optimizer."),
        (
            f"a: {{{VIT}, optimizer: {{weigth_decay: 1}}}}",
            "Nearest valid key: runs.a.optimizer.weight_decay.",
        ),
        (f"a: {{{VIT}, optimizer: {{epochs: 0}}}}", "runs.a.optimizer.epochs is 0"),
        (f"a: {{{VIT}, optimizer: {{batch_size: 1}}}}", "runs.a.optimizer.batch_size is 1"),
        (f"a: {{{VIT}, optimizer: {{learning_rate: 0}}}}", "learning_rate is 0, .* above 0"),
        (f"a: {{{VIT}, optimizer: {{layer_decay: 0}}}}", "layer_decay is 0, .* above 0"),
        (f"a: {{{VIT}, optimizer: {{layer_decay: 1.5}}}}", "layer_decay is 1.5, .* above 0 and at"),
        (f"a: {{{VIT}, optimizer: {{base_rate: lrr}}}}", "base_rate is 'lrr'.*lr.*blr"),
        (f"a: {{{VIT.replace('train', 'test')}}}", "runs.a.also is 'test'.*expanded.*train"),
        (f"a: {{{VIT.replace('vit', 'resnet')}}}", "architecture is 'resnet'"),
        (
            f"a: {{{VIT.replace('metric_learning', 'magic')}}}",
            'runs.a.objective.kind is \'magic\', but must be "metric_learning" or "sjedd"',
        ),
        (f"a: {{{VIT.replace('kind: metric_learning', '')}}}", "runs.a.objective.kind is missing"),
        (f"a: {{{VIT.replace('{kind: metric_learning}', '3')}}}", "runs.a.objective is 3, but"),
        (f"a: {{{VIT.replace('metric_learning', '[1]')}}}", r"runs.a.objective.kind is \[1\], but"),
        (
            f"a: {{{VIT.replace('learning}', 'learning, graph: ffpp}')}}}",
            "runs.a.objective.graph is not a parameter. Nearest valid key: shard.graph.",
        ),
        (
            f"a: {{{JOINT.replace('graph', 'triplet: none, graph')}}}",
            "runs.a.objective.triplet is not a parameter. Valid keys of .*: kind, graph, loss, ",
        ),
        (
            f"a: {{{JOINT.replace('graph', 'loss_weight: {}, graph')}}}",
            "Nearest valid key: runs.a.objective.loss_weights.",
        ),
    ],
)
def test_impossible_values_are_named(load, text, expected):
    with pytest.raises(UserError, match=expected):
        load(f"runs:\n  {text}\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (VIT.replace("tiny", "clip-vit-b32"), "size is 'clip-vit-b32', but vit has tiny and"),
        (JOINT.replace("tiny", "vit-b16"), "size is 'vit-b16', but joint_embedding has tiny"),
        (VIT.replace("metric_learning", "sjedd"), "vit is trained with metric_learning"),
        (
            JOINT.replace("kind: sjedd, graph: ffpp", "kind: metric_learning"),
            "joint_embedding is trained with sjedd",
        ),
        (JOINT.replace("tiny", "tiny, fc_norm: none"), "fc_norm is 'none', but joint_embedding"),
        (
            VIT.replace("tiny", "tiny, clip: {states: released}"),
            "model.clip is for joint_embedding, but the model is vit: remove",
        ),
        (
            JOINT.replace("tiny", "tiny, clip: {head: linear, freeze: text}"),
            "model.clip.freeze is 'text', but with clip.head linear there is no text",
        ),
        (
            JOINT.replace("tiny", "tiny, clip: {head: linear, score: cosine}"),
            "model.clip.score is 'cosine', but with clip.head linear there is no text",
        ),
        (JOINT.replace("tiny", "tiny, trained: head"), "trained is 'head', but joint_embedding"),
        (
            VIT.replace("tiny", "tiny, trained: head").replace(
                "learning}", "learning, triplet: batch_all}"
            ),
            "model.trained is 'head', so that embeddings never move",
        ),
        (
            VIT.replace("learning}", "learning, attribution: category}").replace(
                "also: train", "also: expanded"
            ),
            "attribution is 'category', but also is 'expanded'",
        ),
        (JOINT.replace(", graph: ffpp", ""), "objective.graph is ''"),
        (f"{VIT}, data: {{labels: face_only}}", "data.labels is 'face_only', but metric_learning"),
        (
            JOINT.replace(
                "graph",
                "loss_weights: {root: 0, global_attributes: 0, local_regions: 0}, graph",
            ),
            "all 0",
        ),
        (VIT.replace("tiny", "tiny, weights: {path: a.pth}"), "tiny starts without weights"),
        (VIT + ", optimizer: {epochs: 3, warmup_epochs: 3}", "must be below epochs"),
        (
            f"{VIT}, data: {{fakes: self_blended}}".replace("also: train", "also: expanded"),
            "data.fakes is 'self_blended'.* but also is 'expanded'",
        ),
        (
            f"{VIT}, data: {{fakes: self_blended}}".replace(
                "learning}", "learning, attribution: dataset}"
            ),
            "data.fakes is 'self_blended'.*attribution is 'dataset'",
        ),
        (
            f"{VIT}, data: {{fakes: self_blended}}, optimizer: {{batch_size: 33}}",
            "batch_size is 33, .* even number",
        ),
        (JOINT.replace("tiny", "tiny, drop_path: 0.1"), "drop_path is 0.1, but joint_embedding"),
        (
            VIT.replace("learning}", "learning, triplet: batch_all, mixup: 0.8}"),
            "objective.mixup is 0.8, but a mixed face has no one class",
        ),
        (
            VIT.replace("learning}", "learning, triplet: batch_all, cutmix: 1}"),
            "objective.cutmix is 1, but a mixed face",
        ),
        (
            f"{VIT}, data: {{fakes: self_blended}}".replace("learning}", "learning, cutmix: 1}"),
            "objective.cutmix is on, but would mix a face with its own blend",
        ),
        (
            f"{VIT}, data: {{fakes: self_blended}}, optimizer: {{per_class: 8}}",
            "per_class is 8, but batches of self-blended images",
        ),
        (VIT + ", optimizer: {per_class: 7}", "per_class is 7, but does not divide batch_size"),
        (VIT + ", compute: {accumulate: 7}", "accumulate is 7, but does not divide .*batch_size"),
        (VIT + ", averaging: {last_epochs: 31}", "last_epochs is 31, but optimizer.epochs is 30"),
        (JOINT + ", optimizer: {layer_decay: 0.75}", "layer_decay is 0.75, but joint_embedding"),
        (
            VIT + ", optimizer: {base_rate: blr, min_learning_rate: 5e-5}",
            "min_learning_rate is 5e-05, but the highest rate is 2.5e-05",
        ),
    ],
)
def test_contradictions_are_one_sentence_that_names_the_run(load, text, expected):
    with pytest.raises(UserError, match=rf"params\.yaml: runs\.my-run\..*{expected}"):
        load(f"runs:\n  my-run: {{{text}}}\n")


def test_a_command_names_one_run(load):
    runs = load(f"runs: {{first: {{{VIT}}}, second: {{{JOINT}}}}}").runs
    assert run_params.chosen(runs, ["second"]) == "second"
    with pytest.raises(UserError, match=r"no run 'secnd'.*Did you mean second"):
        run_params.chosen(runs, ["secnd"])
    with pytest.raises(UserError, match=r"no run 'zzz'.*There are: first, second"):
        run_params.chosen(runs, ["zzz"])
    for arguments in ([], ["first", "second"]):
        with pytest.raises(UserError, match=r"Name one run.*first, second"):
            run_params.chosen(runs, arguments)
    with pytest.raises(UserError, match="There is none to choose from"):
        run_params.chosen({}, ["a"])


def test_a_run_may_follow_any_graph_and_read_a_part(load):
    text = (
        f"{JOINT.replace('graph: ffpp', 'graph: ffsc')}, data: {{datasets: [a], max_per_video: 3}}"
    )
    params = load(f"runs:\n  a: {{{text}}}\n")
    assert params.runs["a"].objective.graph == "ffsc"
    assert params.runs["a"].data == DataParams(datasets=("a",), max_per_video=3)
