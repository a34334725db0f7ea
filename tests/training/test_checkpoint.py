"""Checkpoints: what they belong to, and that nothing in them is run."""

import dataclasses
import pickle

import pytest
import torch

from faceshards.reading import Shards
from pipeline.config.objectives import OBJECTIVES, LevelWeights
from pipeline.config.run_params import ModelParams, OptimizerParams, RunParams
from pipeline.config.values import Weights
from pipeline.engine.stage import version
from pipeline.errors import UserError
from pipeline.training import checkpoint
from tests.training import made


def _digest(run, **change):
    return dataclasses.replace(run, **change).digest


def _with(params, part, **change):
    return dataclasses.replace(
        params, **{part: dataclasses.replace(getattr(params, part), **change)}
    )


def test_the_digest_follows_everything_a_result_depends_on():
    run = made.run(made.sjedd())
    graph = dataclasses.replace(made.GRAPH, prompts=(*made.GRAPH.prompts[:-1], "another"))
    edges = dataclasses.replace(made.GRAPH, edges=made.GRAPH.edges[:-1])
    changes = [
        {"name": "other"},
        {"seed": 1},
        {"version": 2},
        {"graph": graph},
        {"graph": edges},
        {"graph": None},
        {"params": made.sjedd(also="expanded")},
        {"params": _with(made.sjedd(), "optimizer", learning_rate=2e-3)},
        {"params": _with(made.sjedd(), "optimizer", epochs=4)},
        {"params": _with(made.sjedd(), "objective", loss_weights=LevelWeights(1, 1, 0.5))},
        {"params": _with(made.sjedd(), "model", weights=Weights("", "ab" * 32))},
    ]
    digests = [run.digest, *(_digest(run, **change) for change in changes)]
    assert len(set(digests)) == len(digests)


@dataclasses.dataclass(frozen=True)
class _Part:
    needed: int
    kept: float = 0.5
    made: tuple[int, ...] = dataclasses.field(default_factory=tuple)


@dataclasses.dataclass(frozen=True)
class _Whole:
    first: _Part
    second: _Part = dataclasses.field(default_factory=lambda: _Part(1, kept=0.25))
    name: str = ""


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (_Whole(_Part(3)), {"first": {"needed": 3}, "second": {"needed": 1, "kept": 0.25}}),
        (
            _Whole(_Part(3, made=(1,)), _Part(1), "a"),
            {"first": {"needed": 3, "made": (1,)}, "second": {"needed": 1}, "name": "a"},
        ),
    ],
)
def test_what_stands_at_its_default_is_left_out(params, expected):
    assert checkpoint.not_default(params) == expected


def test_a_new_parameter_at_its_default_leaves_trained_models_usable():
    @dataclasses.dataclass(frozen=True)
    class Grown(RunParams):
        later: str = "none"

    run = made.run(made.sjedd())
    same = {field.name: getattr(run.params, field.name) for field in dataclasses.fields(RunParams)}
    assert _digest(run, params=Grown(**same)) == run.digest
    assert _digest(run, params=Grown(**same, later="flip")) != run.digest


def test_every_objective_tells_itself_apart_though_all_else_is_default():
    digests = {
        _digest(
            made.run(made.sjedd()), params=dataclasses.replace(made.sjedd(), objective=of(kind))
        )
        for kind, of in OBJECTIVES.items()
    }
    assert len(digests) == len(OBJECTIVES)


VERSION = 4
DEFAULTS = {
    "augmentation": "'none'",
    "model.weights": "Weights(path='', sha256='')",
    "model.fc_norm": "'embedding'",
    "model.trained": "'all'",
    "model.clip": (
        "ClipParams(head='text', templates='region', score='inner_product', freeze='none', "
        "states='paper')"
    ),
    "objective(metric_learning).triplet": "'none'",
    "objective(metric_learning).triplet_weight": "1.0",
    "objective(metric_learning).triplet_margin": "1.0",
    "objective(metric_learning).attribution": "'none'",
    "objective(sjedd).graph": "''",
    "objective(sjedd).loss": "'fidelity'",
    "objective(sjedd).unobserved": "'mask'",
    "objective(sjedd).level_reduction": "'sum'",
    "objective(sjedd).weighting": "'fixed'",
    "objective(sjedd).loss_weights": (
        "LevelWeights(root=1.0, global_attributes=1.0, local_regions=1.0)"
    ),
    "objective(sjedd).weights_learning_rate": "0.001",
    "objective(sjedd).weights_faces": "'train'",
    "objective(sjedd).dwa_temperature": "2.0",
    "optimizer.learning_rate": "0.0001",
    "optimizer.weight_decay": "0.05",
    "optimizer.epochs": "30",
    "optimizer.batch_size": "64",
    "optimizer.warmup_epochs": "5",
    "optimizer.base_rate": "'lr'",
    "optimizer.min_learning_rate": "0.0",
    "optimizer.layer_decay": "1.0",
    "optimizer.decay_exempt": "'norms'",
    "optimizer.schedule": "'cosine'",
    "optimizer.restart_epochs": "5",
    "optimizer.kept_epoch": "'lowest_val_primary'",
}
"""Defaults as they were when the stage got this version."""


def _defaults(params, at):
    for field in dataclasses.fields(params):
        if field.default is not dataclasses.MISSING:
            yield at + field.name, repr(field.default)
        elif field.default_factory is not dataclasses.MISSING:
            yield at + field.name, repr(field.default_factory())


def test_another_default_needs_another_version():
    """Digests leave defaults out, so only the version can tell an old model from a new one."""
    assert version("train") == VERSION, "take the defaults down again for the new version"
    found = dict(_defaults(RunParams, "")) | dict(_defaults(ModelParams, "model."))
    found |= dict(_defaults(OptimizerParams, "optimizer."))
    for kind, of in OBJECTIVES.items():
        found |= dict(_defaults(of, f"objective({kind})."))
    changed = {
        name: found.get(name) for name, value in DEFAULTS.items() if found.get(name) != value
    }
    assert changed == {}, "a default has changed: raise train in versions.yaml"


def test_the_digest_does_not_follow_where_the_weights_lie():
    here, there = (
        _digest(
            made.run(made.metric_learning()),
            params=_with(made.metric_learning(), "model", weights=Weights(path, "ab" * 32)),
        )
        for path in ("a.pth", "/b/a.pth")
    )
    assert here == there


def test_the_shards_digest_follows_the_bytes_of_every_tar(tmp_path):
    made.shards(tmp_path / "a", "train", made.planted(0, 6), per_tar=3)
    made.shards(tmp_path / "b", "train", made.planted(0, 6), per_tar=3)
    made.shards(tmp_path / "c", "train", made.planted(0, 7)[1:], per_tar=3)
    made.shards(tmp_path / "a", "val", made.planted(0, 6), per_tar=3)
    a, b, c = ([Shards(tmp_path / name / "train")] for name in "abc")
    assert checkpoint.shards_digest(a) == checkpoint.shards_digest(b)
    both = [*a, Shards(tmp_path / "a" / "val")]
    assert len({checkpoint.shards_digest(some) for some in (a, c, both)}) == 3


def test_what_was_saved_is_loaded_and_the_bytes_do_not_depend_on_the_moment(tmp_path):
    state = {"model": {"w": torch.arange(6.0).reshape(2, 3)}, "epoch": 3, "history": [{"a": 0.5}]}
    for name in ("one.pt", "two.pt"):
        checkpoint.save(tmp_path / name, state)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    found = checkpoint.load(tmp_path / "one.pt")
    assert torch.equal(found.pop("model")["w"], state["model"]["w"])
    assert found == {"format": checkpoint.FORMAT, "epoch": 3, "history": [{"a": 0.5}]}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.pt", "two.pt"]


class _Shout:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("how", ["torch", "pickle", "truncated", "empty", "format", "list"])
def test_what_is_no_checkpoint_of_ours_is_none_and_runs_nothing(tmp_path, how):
    path, trap = tmp_path / "last.pt", tmp_path / "trap"
    evil = {"format": checkpoint.FORMAT, "model": _Shout(str(trap))}
    if how == "torch":
        torch.save(evil, path)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(evil, protocol=2))
    elif how == "truncated":
        checkpoint.save(path, {"model": {"w": torch.zeros(1000)}})
        path.write_bytes(path.read_bytes()[:2000])
    elif how == "empty":
        path.touch()
    else:
        torch.save({"format": 99} if how == "format" else [1], path)
    assert checkpoint.load(path) is None
    assert not trap.exists()


def test_an_absent_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path / "last.pt") is None


def test_evaluation_takes_the_best_of_this_very_run_only(tmp_path):
    run = made.run(made.metric_learning())
    with pytest.raises(UserError, match=r"best\.pt does not exist.*dvc repro train@toy"):
        checkpoint.load_best(tmp_path, "toy", run.digest)
    (tmp_path / "best.pt").write_bytes(b"no")
    anew = r"dvc repro --force --single-item train@toy"
    with pytest.raises(UserError, match=rf"best\.pt cannot be read.*{anew}"):
        checkpoint.load_best(tmp_path, "toy", run.digest)
    state = {"run_digest": run.digest, "epoch": 2, "model": {}}
    checkpoint.save(tmp_path / "best.pt", state)
    assert checkpoint.load_best(tmp_path, "toy", run.digest)["epoch"] == 2
    other = dataclasses.replace(run, seed=1)
    with pytest.raises(UserError, match=rf"other parameters.*{anew}"):
        checkpoint.load_best(tmp_path, "toy", other.digest)
