"""What a finished run says of itself: run.json."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from faceshards.reading import parse_json
from faceshards.replace import replacing
from pipeline import models
from pipeline.errors import UserError
from pipeline.models import Classifier
from pipeline.training import run_folder
from pipeline.training.inputs import Run, RunData

_MAX_BYTES = 10_000_000


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
        best: ``best_epoch``, counted from 1, by which column it was ``chosen_by``, and cosines of
            the labels' texts before training.
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


def read_about(out: Path) -> dict[str, Any]:
    """What run.json says; nothing where the run is not finished."""
    path = out / run_folder.ABOUT
    if not path.is_file():
        return {}
    try:
        return parse_json(path.read_bytes(), _MAX_BYTES)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}. Run `dvc repro` to make it anew.") from error


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
