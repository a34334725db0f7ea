"""A project whose runs have a checkpoint each, of models that nobody has trained."""

import shutil
from pathlib import Path

from pipeline import config, models
from pipeline.labels import semantics
from pipeline.training import checkpoint, run_folder
from pipeline.versions import version
from tests.shards.made import SEMANTICS


def write(root: Path, params_yaml: str) -> None:
    """Writes params.yaml, semantics.yaml and ``models/<run>`` of every run."""
    (root / "manifests").mkdir(exist_ok=True)
    shutil.copy(SEMANTICS, root / "manifests")
    (root / "params.yaml").write_text(params_yaml)
    params = config.load(root / "params.yaml")
    for name, run in params.runs.items():
        graph = None
        if run.objective.graph:
            graph = semantics.load(SEMANTICS).graph(run.objective.graph)
        digest = checkpoint.run_digest(name, run, params.seed, version("train"), graph)
        state = models.build(run.model, graph, params.seed).state_dict()
        (root / "models" / name).mkdir(parents=True)
        about = {"run_digest": digest, "epoch": 1, "classes": ["real", "fake"], "model": state}
        checkpoint.save(root / "models" / name / run_folder.BEST, about)
