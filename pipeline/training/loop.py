"""The one training loop: epochs of steps, validation, checkpoints, history."""

import csv
import dataclasses
import io
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from faceshards.replace import replacing
from faceshards.wording import counted
from pipeline import models
from pipeline.engine import store
from pipeline.errors import UserError
from pipeline.models import Classifier
from pipeline.models.device import prepare
from pipeline.models.scores import auc
from pipeline.training import checkpoint, data, optim, run_folder
from pipeline.training.augmentation import changed, changes
from pipeline.training.data import TrainingBatch
from pipeline.training.inputs import Run, RunData, read
from pipeline.training.objective import make_objective

_MARKS = {
    "run_digest": "parameters",
    "start_digest": "weights to start from",
    "shards_digest": "shards",
}
"""What a checkpoint carries to say what it belongs to, in words."""

SAVE_EVERY_S = 600.0
"""Seconds after which last.pt is replaced in the middle of an epoch."""

History = list[dict[str, float]]
"""One row per finished epoch: ``epoch`` (from 1), ``learning_rate``, losses, ``val_auc``."""


def train(run: Run, shards: Path, out: Path, history: Path) -> int:
    """Trains a run, or the rest of it, and leaves its best epoch.

    Written, each by rename: ``last.pt`` after every epoch and every ten minutes, from which an
    interrupted run goes on to the same bytes; ``best.pt``, the epoch of the lowest primary loss on
    val; ``run.json``, what was trained on what; and the history. On one machine's CPU the same
    inputs give the same bytes.

    Args:
        run: what to train.
        shards: folder that holds ``train``, ``val`` and, where the run reads them, ``expanded``.
        out: folder of the run, ``models/<run>``.
        history: CSV of the epochs, for DVC's plots.

    Returns:
        Epochs that were missing.

    Raises:
        UserError: before any training, where shards or weights are absent or unfit; later, where a
            loss is no longer finite, or another process trains the same run.
    """
    device = prepare()
    faces = read(run, shards, models.image_px(run.params.model))
    for note in faces.notes:
        _say(f"train {run.name}: {note}")
    model = models.build(run.params.model, run.graph, run.seed, len(faces.classes))
    with store.locked(out):
        return _Training(run, faces, model.to(device), device, out, history).finish()


class _Training:
    """The state of a run while it is trained."""

    def __init__(
        self,
        run: Run,
        faces: RunData,
        model: Classifier,
        device: torch.device,
        out: Path,
        history: Path,
    ) -> None:
        self.run = run
        self.faces = faces
        self.model = model
        self.device = device
        self.out = out
        self.history_path = history
        self.objective = make_objective(run.params.objective, model, run.graph)
        self.optimizer = optim.make_optimizer(model, run.params.optimizer)
        self.mean, self.std = model.mean, model.std
        self.marks = {
            "run_digest": run.digest,
            "start_digest": checkpoint.start_digest(run.params.model),
            "shards_digest": faces.digest,
        }
        self.history: History = []
        self.sums = _Means()
        """Losses of the epoch in flight."""
        self._key = f"{run.seed}/{run.name}"
        self.loader = faces.train.shuffled(self._key, run.params.optimizer.batch_size)
        torch.manual_seed(run.seed)

    def finish(self) -> int:
        """Trains the epochs that are missing; how many they were."""
        for path in self.out.glob(".tmp-*"):
            path.unlink()
        self._resume()
        there = len(self.history)
        if len(self.history) < self.run.params.optimizer.epochs:
            (self.out / run_folder.ABOUT).unlink(missing_ok=True)  # not finished any more
        for epoch in range(len(self.history), self.run.params.optimizer.epochs):
            row = self._epoch(epoch)
            is_best = row[self._chosen_by] < min(
                (before[self._chosen_by] for before in self.history), default=math.inf
            )
            self.history.append(row)
            self._save(is_best)
        self._write_about()
        self._write_history()
        return len(self.history) - there

    @property
    def _chosen_by(self) -> str:
        return f"val_{self.objective.primary}"

    def _epoch(self, epoch: int) -> dict[str, float]:
        params, steps = self.run.params.optimizer, len(self.loader)
        saved_s = time.monotonic()
        self.model.train()
        batches = self.faces.train.batches(self.loader)
        for step, batch in enumerate(self._shown(batches, epoch, steps), self.loader.number):
            rate = optim.learning_rate(params, epoch + step / steps)
            images = self._augmented(batch.images.to(self.device), f"{epoch}/{step}")
            self.sums.add(self._step(images, batch.to(self.device), rate), len(batch.labels))
            if step + 1 < steps and time.monotonic() - saved_s >= SAVE_EVERY_S:
                self._save_last()
                saved_s = time.monotonic()
        row = {"epoch": float(epoch + 1), "learning_rate": rate}
        row |= {f"train_{name}": mean for name, mean in self.sums.means().items()}
        self.sums = _Means()
        row |= {f"val_{name}": value for name, value in self._validate().items()}
        self._check_finite(row)
        if not sys.stderr.isatty():
            numbers = [f"{name} {value:.4g}" for name, value in self._for_people(row).items()]
            _say(f"{self._title(epoch)}: {', '.join(numbers[1:])}")
        return row

    def _augmented(self, images: Tensor, batch: str) -> Tensor:
        """Float32 (B, 3, side, side) as the model takes them, changed as the run's policy says."""
        key, places = f"{self._key}/augmentation/{batch}", range(len(images))
        each = changes(self.run.params.augmentation, key, places, images.shape[1])
        return changed(images, each, self.mean, self.std)

    def _step(self, images: Tensor, batch: TrainingBatch, rate: float) -> dict[str, Tensor]:
        """One update of the model; returns the unweighted losses before it.

        An objective that learns its own weights has its outer step here, before the losses are
        weighted: it may read the optimizer's state and must leave the model's parameters alone.
        """
        optim.set_learning_rate(self.optimizer, rate)
        parts = self.objective.losses(self.model(images), batch)
        self.optimizer.zero_grad(set_to_none=True)
        self.objective.total(parts).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return {name: part.detach() for name, part in parts.items()}

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Mean losses over all faces of val, and ``auc`` by face, NaN where val has one class."""
        faces = self.faces.val
        sums, scores = _Means(), []
        self.model.eval()
        for batch in faces.batches(faces.in_order(self.run.params.optimizer.batch_size)):
            here = batch.to(self.device)
            outputs = self.model(data.normalised(here.images, self.mean, self.std))
            sums.add(self.objective.losses(outputs, here), len(here.labels))
            scores.append(self.model.fake_probability(outputs).cpu().numpy())
        found = sums.means()
        both = 0 < faces.labels.sum() < len(faces)
        finite = all(math.isfinite(value) for value in found.values())
        found["auc"] = auc(faces.labels, np.concatenate(scores)) if both and finite else math.nan
        return found

    def _shown(
        self, batches: Iterator[TrainingBatch], epoch: int, steps: int
    ) -> Iterator[TrainingBatch]:
        shown = sys.stderr.isatty()
        done, title = self.loader.number, self._title(epoch)
        yield from tqdm(batches, title, steps, initial=done, unit="batch", disable=not shown)

    def _title(self, epoch: int) -> str:
        return f"train {self.run.name}, epoch {epoch + 1} of {self.run.params.optimizer.epochs}"

    def _check_finite(self, row: Mapping[str, float]) -> None:
        bad = [n for n, value in row.items() if not math.isfinite(value) and n != "val_auc"]
        if bad:
            raise UserError(
                f"The run {self.run.name} diverged: {bad[0]} is {row[bad[0]]} in epoch "
                f"{row['epoch']:.0f}. Lower runs.{self.run.name}.optimizer.learning_rate."
            )

    def _resume(self) -> None:
        """Goes on where last.pt left off, if it is of this very run on these very shards."""
        path = self.out / run_folder.LAST
        last, best = checkpoint.load(path), checkpoint.load(self.out / run_folder.BEST)
        if not path.exists():
            return
        if last is None or (last.get("history") and best is None):
            _say(
                f"train {self.run.name}: {path} has no readable {run_folder.BEST} beside it or is "
                "damaged; starting anew."
            )
            return
        for mark, words in _MARKS.items():
            of_best = best[mark] if best and last["history"] else last[mark]
            if not last[mark] == of_best == self.marks[mark]:
                _say(f"train {self.run.name}: {path} is of other {words}; starting anew.")
                return
        self.model.load_state_dict(last["model"])
        self.optimizer.load_state_dict(last["optimizer"])
        torch.set_rng_state(last["random"])
        if self.device.type == "cuda" and last["random_cuda"]:
            torch.cuda.set_rng_state_all(last["random_cuda"])
        self.history = last["history"]
        self.loader.resume(last["loader"])
        self.sums = _Means(last["faces"], last["sums"])
        done = counted(len(self.history), "epoch is", "epochs are")
        batches = f", and {self.loader.number} batches of the next" if self.loader.number else ""
        _say(f"train {self.run.name}: {done} done already{batches}.")

    def _save(self, is_best: bool) -> None:
        """Best before last: whoever finds last.pt finds the best of its epochs as well."""
        if is_best:
            epoch, classes = len(self.history), list(self.faces.classes)
            state = {**self.marks, "epoch": epoch, "model": self._weights(), "classes": classes}
            checkpoint.save(self.out / run_folder.BEST, state)
        self._save_last()
        self._write_history()

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in self.model.state_dict().items()}

    def _save_last(self) -> None:
        """Everything that is needed to go on, behind any step."""
        cuda = torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []
        state = {
            **self.marks,
            "epoch": len(self.history),
            "model": self._weights(),
            "optimizer": self.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "random_cuda": cuda,
            "history": self.history,
            "loader": self.loader.state(),
            "faces": self.sums.faces,
            "sums": {name: total.cpu() for name, total in self.sums.sums.items()},
        }
        checkpoint.save(self.out / run_folder.LAST, state)

    def _write_history(self) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(self.history[0])
        for row in self.history:
            table.writerow([_number(value) for value in self._for_people(row).values()])
        _write(self.history_path, text.getvalue())

    def _for_people(self, row: Mapping[str, float]) -> dict[str, float]:
        """An epoch as it is shown; best.pt is chosen by the losses themselves."""
        losses = {f"{part}_{name}" for part in ("train", "val") for name in self.objective.weights}
        return {
            name: self.objective.shown(value) if name in losses else value
            for name, value in row.items()
        }

    def _write_about(self) -> None:
        best = min(self.history, key=lambda row: row[self._chosen_by])
        about = {
            "run": self.run.name,
            "seed": self.run.seed,
            "version": self.run.version,
            "params": dataclasses.asdict(self.run.params),
            "model": models.settings(self.run.params.model),
            "normalisation": dataclasses.asdict(self.model.normalisation),
            "meaningless": self.run.params.model.size == "tiny",
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "graph": self.run.graph.name if self.run.graph else "",
            "classes": self.faces.classes,
            "shards": self.faces.counts,
            "best_epoch": int(best["epoch"]),
            "chosen_by": self._chosen_by,
            "device": _device_name(self.device),
            "torch": torch.__version__,
            **self.marks,
        }
        _write(self.out / run_folder.ABOUT, json.dumps(about, indent=2, sort_keys=True) + "\n")


class _Means:
    """Means of named losses over faces; read back from the device once."""

    def __init__(self, faces: int = 0, sums: Mapping[str, Tensor] | None = None) -> None:
        self.faces = faces
        self.sums = dict(sums or {})
        """By name: of the losses of all faces."""

    def add(self, losses: Mapping[str, Tensor], faces: int) -> None:
        """Counts a batch's mean losses as often as it has faces."""
        self.faces += faces
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + loss.double() * faces

    def means(self) -> dict[str, float]:
        """By name."""
        return {name: float(total) / self.faces for name, total in self.sums.items()}


def _device_name(device: torch.device) -> str:
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def _number(value: float) -> str:
    """Shortest text of a number to six digits; empty for NaN, which means there is none."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the progress of a run is for people
