"""Whether all weights that `dvc repro` will load are there, told before it does any work.

The stages look again when their turn comes, and read every byte then. Here the digest of a file is
remembered for as long as its size, time of change and inode stay, so that looking costs nothing.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import weights
from pipeline.config.params import FacesParams, Params, resolve
from pipeline.config.run_params import ModelParams
from pipeline.errors import UserError
from pipeline.files.memory import FileMemory

CACHE = Path(".cache/weights.json")
"""What is remembered of weights files: local to one machine, never tracked."""

_CHOOSE = ("detect", "detector", "weights", "identity", "identity_weights")
"""Keys of an exception that decide which weights are needed."""
_MODEL_FILES = "*model.[bs]*"
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""As in :mod:`pipeline.models`, which is not asked: its import of torch takes seconds."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

Look = Callable[[], object]
"""Raises UserError where weights are missing or wrong."""


def check(params: Params, videos: pa.Table, cache: Path = CACHE) -> str:
    """Looks for the weights of detectors, landmarker and runs, as their stages will.

    Args:
        params: those of all stages.
        videos: the table ``videos``: its datasets and splits say which exceptions count.
        cache: what is remembered of weights files, made where absent.

    Returns:
        What the runs lack, "" if nothing. No error: shards are made without it, and nothing is lost
        where training begins later.

    Raises:
        UserError: detectors or the landmarker lack theirs; it names all, those of runs too.
    """
    memory = FileMemory(cache, _SHA256)

    def digest(file: Path) -> str:
        return memory.recall(str(file), file.stat(), "sha256", partial(weights.read_sha256, file))

    with weights.digests_by(digest):
        before_shards = _problems([*_faces(params.faces, videos), _landmarks(params)])
        for_training = _problems(list(_runs(params)))
    memory.save()
    if before_shards:
        raise UserError(_told([*before_shards, *for_training]))
    return _told(for_training) if for_training else ""


def _problems(looks: Sequence[tuple[str, "Look"]]) -> list[str]:
    """What is missing or wrong, each once, with who asks for it."""
    found: dict[str, str] = {}
    for where, look in looks:
        try:
            look()
        except UserError as error:
            found.setdefault(str(error), where)
    return [where + problem for problem, where in found.items()]


def _faces(params: FacesParams, videos: pa.Table) -> Iterator[tuple[str, Look]]:
    """What finding the faces of each dataset and split needs, and which exception asks for it."""
    # Imported where they are used: scan is light until weights are looked for.
    from pipeline.faces.detect import detector_settings
    from pipeline.faces.identity import identity_settings

    groups = videos.select(["dataset", "split"]).group_by(["dataset", "split"]).aggregate([])
    for dataset, split in sorted(zip(*groups.to_pydict().values(), strict=True)):
        rules = resolve(params, dataset, split)
        if rules.detect:
            where = _exceptions(params, dataset, split)
            yield where, partial(detector_settings, rules)
            yield where, partial(identity_settings, rules)


def _exceptions(params: FacesParams, dataset: str, split: str) -> str:
    per_split: Mapping[Any, Mapping[str, object]] = params.per_split
    changes = {
        f"faces.per_dataset.{dataset}": params.per_dataset.get(dataset, {}),
        f"faces.per_split.{split}": per_split.get(split, {}),
    }
    named = [name for name, keys in changes.items() if not keys.keys().isdisjoint(_CHOOSE)]
    return f"with {' and '.join(named)}: " if named else ""


def _landmarks(params: Params) -> tuple[str, Look]:
    """What the landmarker needs; its stage always makes it ready."""
    from pipeline.faces.landmarks import landmarker_settings

    return "", partial(landmarker_settings, params.landmarks)


def _runs(params: Params) -> Iterator[tuple[str, Look]]:
    """What the networks of all runs need."""
    for name, run in params.runs.items():
        yield "", partial(_model, run.model, f"runs.{name}.model.weights")


def _model(params: ModelParams, where: str) -> None:
    if params.size == "tiny" or params.start == "random":
        return
    file = weights.find(params.weights, where, f"The model {params.size}", _MODEL_FILES)
    reads_text = params.architecture == "joint_embedding" and params.clip.head == "text"
    if reads_text and not any(
        all((file.parent / name).is_file() for name in names) for names in _TOKENIZERS
    ):
        raise UserError(
            f"{where}.path: beside {file.name}, the model {params.size} needs its tokenizer: put "
            f"{' or '.join(' and '.join(names) for names in _TOKENIZERS)} into "
            f"{file.parent.absolute()}."
        )


def _told(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    lines = [f"{len(problems)} weights are missing or wrong."]
    lines += [f"  {problem.replace(f' {weights.WITHOUT}', '')}" for problem in problems]
    if any(weights.WITHOUT in problem for problem in problems):
        lines.append(weights.WITHOUT)
    return "\n".join(lines)
