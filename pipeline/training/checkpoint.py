"""Checkpoints: whole states of a run that say what they belong to, read without running code."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from faceshards.reading import Shards
from faceshards.replace import replacing
from pipeline import models
from pipeline.config.run_params import ModelParams, RunParams
from pipeline.errors import UserError
from pipeline.labels.semantics import Graph
from pipeline.training import run_folder
from pipeline.weights import UNREADABLE

_MARKS = {
    "run_digest": "parameters",
    "start_digest": "weights to start from",
    "shards_digest": "shards",
}
"""What a checkpoint carries to say what it belongs to, in words."""

FORMAT = 1
"""Counted up when a reader of the old one would misread the new one."""


def run_digest(
    name: str,
    params: RunParams,
    seed: int,
    version: int,
    graph: Graph | None,
) -> str:
    """Digest (32 hex characters) of everything but the shards that a run's result depends on.

    Parameters at their default are not in it, so that a run trained before a parameter was added
    stays usable. Where the result of a default changes (another default, another meaning of the
    same value), the stage's version must be raised instead.

    Args:
        name: the run's; it keys the order of batches.
        params: the run's. Where its weights lie does not count, their digest does.
        seed: of params.yaml.
        version: the number of ``train`` in versions.yaml.
        graph: the label graph the run is trained with; None where it reads no label vectors.
    """
    anywhere = dataclasses.replace(params.model.weights, path="")
    params = dataclasses.replace(params, model=dataclasses.replace(params.model, weights=anywhere))
    facts = {
        "name": name,
        "params": not_default(params),
        "seed": seed,
        "version": version,
        "graph": dataclasses.asdict(graph) if graph else None,
    }
    return _digest(facts)


def not_default(params: Any) -> dict[str, Any]:
    """The fields of a dataclass that have no default or another value than it, by name.

    Fields that are dataclasses are looked at field by field; without any, they are left out.
    """
    found = {}
    for field in dataclasses.fields(params):
        value = getattr(params, field.name)
        if dataclasses.is_dataclass(value):
            if inside := not_default(value):
                found[field.name] = inside
        elif field.default_factory is not dataclasses.MISSING:
            if value != field.default_factory():
                found[field.name] = value
        elif value != field.default:
            found[field.name] = value
    return found


def start_digest(params: ModelParams) -> str:
    """Digest (32 hex characters) of the files a model starts from.

    Raises UserError where they are missing or not those that the parameters say.
    """
    return _digest(models.settings(params))


def shards_digest(
    folders: Sequence[Shards],
    used: Sequence[Collection[str]] | None = None,
    vectors: Sequence[Mapping[tuple[str, str, str], Sequence[int]]] = (),
) -> str:
    """Digest (32 hex characters) of shard folders: every tar's SHA-256, as shards.json has it.

    Args:
        folders: the shard folders.
        used: names of each folder's tars that count; None = all.
        vectors: label vectors of each folder that are learnt instead of those in its tars.
    """
    tars = [shards.tars for shards in folders] if used is None else used
    facts: dict[str, Any] = {
        shards.name: {tar: shards.tars[tar]["sha256"] for tar in names}
        for shards, names in zip(folders, tars, strict=True)
    }
    if vectors:
        facts["vectors"] = [sorted((*kind, *of) for kind, of in some.items()) for some in vectors]
    return _digest(facts)


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Writes a checkpoint by rename: a crash leaves the old or the new one.

    Args:
        path: the file.
        state: tensors, numbers, text and plain containers of them.
    """
    # Into an open file: torch would write the file's temporary name into the archive.
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(_unshared({"format": FORMAT, **state}), file)


def load(path: Path) -> dict[str, Any] | None:
    """A checkpoint on the CPU; None where the file is absent, damaged or of another format.

    Only tensors and plain containers are read (``weights_only=True``); nothing in the file is run.
    """
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE:
        return None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        return None
    return state


def load_last(folder: Path, marks: Mapping[str, str]) -> tuple[dict[str, Any] | None, str]:
    """The state that a run can go on from.

    Args:
        folder: ``models/<run>``.
        marks: digests of what the run depends on: ``run_digest``, ``start_digest`` and
            ``shards_digest``.

    Returns:
        The state, or None; then also why what is there cannot be gone on from, in words, or "".
    """
    path = folder / run_folder.LAST
    last, best = load(path), load(folder / run_folder.BEST)
    if not path.exists():
        return None, ""
    if last is None or (last.get("history") and best is None):
        return None, f"{path} has no readable {run_folder.BEST} beside it or is damaged"
    for mark, words in _MARKS.items():
        of_best = best[mark] if best and last["history"] else last[mark]
        if not last[mark] == of_best == marks[mark]:
            return None, f"{path} is of other {words}"
    return last, ""


def load_best(folder: Path, run: str, wanted: str) -> dict[str, Any]:
    """The best checkpoint of a finished or running training, for evaluation.

    Args:
        folder: ``models/<run>``.
        run: name of the run, for messages.
        wanted: the run's digest, from :func:`run_digest`.

    Returns:
        ``model`` (state dict), ``epoch`` (counted from 1), ``classes`` (names of what a ViT tells
        apart), ``run_digest``, ``shards_digest``.

    Raises:
        UserError: there is none, it cannot be read, or it was trained with other parameters.
    """
    path = folder / run_folder.BEST
    state = load(path)
    if state is None:
        if not path.is_file():
            raise UserError(f"{path} does not exist. Train the run with `dvc repro train@{run}`.")
        raise UserError(f"{path} cannot be read as a checkpoint. {_anew(run)}")
    if state["run_digest"] != wanted:
        raise UserError(
            f"{path} was trained with other parameters than params.yaml has for {run} (or another "
            f"seed, graph or version). {_anew(run)}"
        )
    return state


def _anew(run: str) -> str:
    """What to do where DVC may see no change, so that a plain `dvc repro` would do nothing."""
    return (
        f"Train it anew with `dvc repro --force --single-item train@{run}`, then go on with "
        "`dvc repro`."
    )


def _unshared(value: Any) -> Any:
    """The same with every container made anew and equal texts being one object.

    Pickle writes an object that it meets again as a reference, so that the bytes of a resumed run
    would otherwise differ from those of an undisturbed one.
    """
    if isinstance(value, Mapping):
        return {_unshared(key): _unshared(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_unshared(one) for one in value])
    return sys.intern(value) if isinstance(value, str) else value


def _digest(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
