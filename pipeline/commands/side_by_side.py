"""Several training runs side by side, each on a GPU of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import config
from pipeline.config import run_params
from pipeline.errors import UserError
from pipeline.training.rank_names import OWNER

LOGS = Path("logs")


@dataclass(frozen=True)
class _Running:
    """A run that is being trained."""

    run: str
    gpu: str
    process: "subprocess.Popen[bytes]"


def stage(run: str) -> list[str]:
    """The stage that trains a run, as a command."""
    return [sys.executable, "-m", "stages.train", run]


def train_all(
    runs: Sequence[str], gpus: Sequence[str], command: Callable[[str], Sequence[str]] = stage
) -> list[str]:
    """Trains runs, one on each GPU at a time; as soon as one is free, the next run starts there.

    What a run says is in ``logs/train@RUN.txt``. A run that fails stops no other. When this process
    ends, its trainings end too; they go on from there another time.

    Args:
        runs: their names.
        gpus: numbers as CUDA has them, or names of parts of a GPU.
        command: that trains a run.

    Returns:
        Those that have failed.
    """
    waiting, free, failed = list(runs), list(gpus), []
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and free:
                running.append(_start(waiting.pop(0), free.pop(0), command))
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                free.append(one.gpu)
                if one.process.returncode:
                    failed.append(one.run)
                print(f"train {one.run}: {_outcome(one)}.")  # noqa: T201 - this is a command
            time.sleep(0.05)
    finally:
        for one in running:
            one.process.terminate()
            one.process.wait()
    return failed


def train_named(runs: str, gpus: str) -> list[str]:
    """The same for lists with commas, of runs of params.yaml and of GPUs.

    Raises:
        UserError: a run is not in params.yaml, or the parameters give a run several GPUs.
    """
    params = config.load()
    names = named(runs, "runs")
    for name in names:
        run_params.chosen(params.runs, [name])
    if params.engine.gpus > 1:
        raise UserError(
            f"engine.gpus is {params.engine.gpus}, but here every run has one GPU. Set it to 1, or "
            "train one run after the other with `dvc repro`."
        )
    return train_all(names, named(gpus, "gpus"))


def named(text: str, what: str) -> list[str]:
    """The parts of a list with commas. Raises UserError where it is empty or names one twice."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UserError(f"--{what} names none. Give some, with commas between them.")
    if twice := {part for part in parts if parts.count(part) > 1}:
        raise UserError(f"--{what} names {min(twice)} twice.")
    return parts


def _log(run: str) -> Path:
    return LOGS / f"train@{run}.txt"


def _start(run: str, gpu: str, command: Callable[[str], Sequence[str]]) -> _Running:
    LOGS.mkdir(exist_ok=True)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": gpu, OWNER: str(os.getpid())}
    with _log(run).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command(run), env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    print(f"train {run}: on GPU {gpu}, see {_log(run)}.")  # noqa: T201 - this is a command
    return _Running(run, gpu, process)


def _outcome(one: _Running) -> str:
    if not one.process.returncode:
        return "done"
    lines = _log(one.run).read_text(errors="replace").strip().splitlines()
    return f"failed: {lines[-1] if lines else f'exit code {one.process.returncode}'}"
