"""SJEDD's ablations as its profiles have them, shrunk to two steps of a tiny model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pipeline import config
from pipeline.config.run_params import RunParams
from pipeline.config.values import Weights
from pipeline.labels import semantics
from pipeline.training.inputs import Run, read
from pipeline.training.loop import train
from tests.e2e.project import ROOT

PROFILES = ("paper-sjedd-ablations", "paper-sjedd-ffsc")


def runs() -> Iterator[tuple[str, RunParams]]:
    """Every run of the two profiles, by name, of the tiny size.

    The sample has neither FFSC nor faces blended as in Face X-ray: its own stand for them.
    """
    for profile in PROFILES:
        for name, run in config.load(ROOT / f"profiles/{profile}.yaml").runs.items():
            swaps = run.data.generators and ("swap",)
            data = replace(run.data, datasets=("ffpp",), generators=swaps, max_per_video=1)
            model = replace(run.model, size="tiny", weights=Weights())
            yield name, replace(run, model=model, data=data)


def train_two_steps(name: str, params: RunParams, shards: Path, out: Path) -> dict[str, object]:
    """Trains one epoch of two steps on the shard folders; what run.json says."""
    graph = semantics.load(ROOT / "manifests/semantics.yaml").graph(params.objective.graph)
    faces = len(read(Run(name, params, 0, 1, graph), shards, 64).train)
    optimizer = replace(params.optimizer, epochs=1, batch_size=faces // 2)
    run = Run(name, replace(params, optimizer=optimizer), 0, 1, graph)
    assert train(run, shards, out / name, out / f"{name}.csv") == 1
    return json.loads((out / name / "run.json").read_text())
