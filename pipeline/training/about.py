"""What a finished run says of itself: run.json."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import torch

from faceshards.replace import replacing
from pipeline import models
from pipeline.models import Classifier
from pipeline.training import run_folder
from pipeline.training.inputs import Run, RunData


def write_about(
    out: Path,
    run: Run,
    faces: RunData,
    model: Classifier,
    best: Mapping[str, object],
    marks: Mapping[str, str],
) -> None:
    """Writes run.json, by rename.

    Args:
        out: folder of the run.
        run: what was trained.
        faces: on what.
        model: the model, on the device that it was trained on.
        best: ``best_epoch``, counted from 1, and by which column it was ``chosen_by``.
        marks: digests of what the run depends on, by name.
    """
    about = {
        "run": run.name,
        "seed": run.seed,
        "version": run.version,
        "params": dataclasses.asdict(run.params),
        "model": models.settings(run.params.model),
        "normalisation": dataclasses.asdict(model.normalisation),
        "meaningless": run.params.model.size == "tiny",
        "parameters": sum(p.numel() for p in model.parameters()),
        "graph": run.graph.name if run.graph else "",
        "classes": faces.classes,
        "shards": faces.counts,
        "device": _device_name(model.pixel_mean.device),
        "torch": torch.__version__,
        **best,
        **marks,
    }
    with replacing(out / run_folder.ABOUT) as temporary:
        temporary.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n")


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
