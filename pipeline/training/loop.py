"""The one training loop: epochs of steps, validation, checkpoints, history."""

import math
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from faceshards.loader import Loader
from faceshards.wording import counted
from pipeline import models
from pipeline.engine import store
from pipeline.errors import UserError
from pipeline.models import Classifier, JointEmbedding
from pipeline.models.device import prepare
from pipeline.training import checkpoint, history, run_folder
from pipeline.training.about import write_about
from pipeline.training.augmentation import changed, changes
from pipeline.training.data import Faces, TrainingBatch
from pipeline.training.history import Means, Row
from pipeline.training.inputs import Run, RunData, read
from pipeline.training.loss_weights import Prepared
from pipeline.training.objective import make_objective
from pipeline.training.schedule import learning_rate
from pipeline.training.step import Learner
from pipeline.training.validation import validate

SAVE_EVERY_S = 600.0
"""Seconds after which last.pt is replaced in the middle of an epoch."""


def train(run: Run, shards: Path, out: Path, plot: Path) -> int:
    """Trains a run, or the rest of it, and leaves its best epoch.

    Written, each by rename: ``last.pt`` after every epoch and every ten minutes, from which an
    interrupted run goes on to the same bytes; ``best.pt``, the epoch of the lowest primary loss on
    val; ``run.json``, what was trained on what; and the history. On one machine's CPU the same
    inputs give the same bytes.

    Args:
        run: what to train.
        shards: folder that holds ``train``, ``val`` and, where the run reads them, ``expanded``.
        out: folder of the run, ``models/<run>``.
        plot: CSV of the epochs, for DVC's plots.

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
        return _Training(run, faces, model.to(device), device, out, plot).finish()


class _Training:
    """The state of a run while it is trained."""

    def __init__(
        self,
        run: Run,
        faces: RunData,
        model: Classifier,
        device: torch.device,
        out: Path,
        plot: Path,
    ) -> None:
        self.run = run
        self.faces = faces
        self.model = model
        self.device = device
        self.out = out
        self.plot = plot
        self.objective = make_objective(run.params.objective, model, run.graph)
        self.learner = Learner(model, self.objective, run.params.optimizer)
        self.mean, self.std = model.mean, model.std
        self.marks = {
            "run_digest": run.digest,
            "start_digest": checkpoint.start_digest(run.params.model),
            "shards_digest": faces.digest,
        }
        self.label_similarity = _label_similarity(model)
        self.history: list[Row] = []
        self.sums = Means()
        """Losses of the epoch in flight."""
        self._key = f"{run.seed}/{run.name}"
        self.loader = self._loader(self._key, faces.train)
        torch.manual_seed(run.seed)

    def finish(self) -> int:
        """Trains the epochs that are missing; how many they were."""
        for path in self.out.glob(".tmp-*"):
            path.unlink()
        self._resume()
        there, epochs = len(self.history), self.run.params.optimizer.epochs
        if there < epochs:
            (self.out / run_folder.ABOUT).unlink(missing_ok=True)  # not finished any more
        for epoch in range(there, epochs):
            row = self._epoch(epoch)
            self.history.append(row)
            self._save(is_best=self._kept()[0] == epoch)
        self._write_about()
        self._write_history()
        return len(self.history) - there

    def _kept(self) -> tuple[int, str]:
        """The epoch, from 0, whose model is kept, and the column that chose it."""
        rule = self.run.params.optimizer.kept_epoch
        return history.kept_epoch(self.history, rule, self.objective.primary)

    def _epoch(self, epoch: int) -> Row:
        params, steps = self.run.params.optimizer, len(self.loader)
        saved_s = time.monotonic()
        self.model.train()
        for step, (batch, second) in enumerate(self._batches(epoch), self.loader.number):
            rate = learning_rate(params, epoch + step / steps)
            self.sums.add(self.learner.step(batch, second, rate), len(batch.images))
            if step + 1 < steps and time.monotonic() - saved_s >= SAVE_EVERY_S:
                self._save_last()
                saved_s = time.monotonic()
        row = {"epoch": float(epoch + 1), "learning_rate": rate}
        means, self.sums = self.sums.means(), Means()
        row |= {f"train_{name}": mean for name, mean in means.items()}
        row |= {f"val_{name}": value for name, value in self._validate().items()}
        row |= self.objective.weights.columns()
        self._check_finite(row)
        self.objective.weights.after_epoch(means)
        if not sys.stderr.isatty():
            numbers = [f"{name} {value:.4g}" for name, value in self._for_people(row).items()]
            _say(f"{self._title(epoch)}: {', '.join(numbers[1:])}")
        return row

    def _validate(self) -> dict[str, float]:
        size = self.run.params.optimizer.batch_size
        return validate(self.model, self.objective, self.faces.val, size, self.device)

    def _loader(self, key: str, faces: Faces) -> Loader:
        return faces.shuffled(key, self.run.params.optimizer.batch_size)

    def _batches(self, epoch: int) -> Iterator[tuple[Prepared, Prepared | None]]:
        """What is left of an epoch: the faces of each step and, where they are needed, others."""
        first, steps, title = self.loader.number, len(self.loader), self._title(epoch)
        second = self._second(epoch, first)
        batches = self.faces.train.batches(self.loader)
        shown = tqdm(
            batches, title, steps, initial=first, unit="batch", disable=not sys.stderr.isatty()
        )
        for step, batch in enumerate(shown, first):
            yield self._prepared(batch, f"{self._key}/augmentation/{epoch}/{step}"), next(second)

    def _second(self, epoch: int, first: int) -> Iterator[Prepared | None]:
        """Other faces, in another order, from a batch on; None where the objective needs none."""
        source = self.objective.weights.second_from
        if not source:
            while True:
                yield None
        faces, key = getattr(self.faces, source), f"{self._key}/second"
        loader, number = self._loader(key, faces), epoch * len(self.loader) + first
        loader.epoch, loader.number = divmod(number, len(loader))
        while True:
            for batch in faces.batches(loader):
                yield self._prepared(batch, f"{key}/augmentation/{number}", source == "train")
                number += 1

    def _prepared(self, batch: TrainingBatch, key: str, is_changed: bool = True) -> Prepared:
        """A batch on the device, changed as the run's policy says by draws that the key gives."""
        here = batch.to(self.device)
        policy, side_px = self.run.params.augmentation, here.images.shape[1]
        each = changes(policy if is_changed else "none", key, range(len(here.images)), side_px)
        return Prepared(changed(here.images, each, self.mean, self.std), here)

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
        last, why_not = checkpoint.load_last(self.out, self.marks)
        if last is None:
            if why_not:
                _say(f"train {self.run.name}: {why_not}; starting anew.")
            return
        self.learner.load_state_dict(last)
        torch.set_rng_state(last["random"])
        if self.device.type == "cuda" and last["random_cuda"]:
            torch.cuda.set_rng_state_all(last["random_cuda"])
        self.history = last["history"]
        self.loader.resume(last["loader"])
        self.sums = Means(last["faces"], last["sums"])
        done = counted(len(self.history), "epoch is", "epochs are")
        batches = f", and {self.loader.number} batches of the next" if self.loader.number else ""
        _say(f"train {self.run.name}: {done} done already{batches}.")

    def _save(self, is_best: bool) -> None:
        """Best before last: whoever finds last.pt finds the best of its epochs as well."""
        if is_best:
            epoch, classes = len(self.history), list(self.faces.classes)
            model = self.learner.weights()
            state = {**self.marks, "epoch": epoch, "model": model, "classes": classes}
            checkpoint.save(self.out / run_folder.BEST, state)
        self._save_last()
        self._write_history()

    def _save_last(self) -> None:
        """Everything that is needed to go on, behind any step."""
        cuda = torch.cuda.get_rng_state_all() if self.device.type == "cuda" else []
        state = {
            **self.marks,
            **self.learner.state_dict(),
            "epoch": len(self.history),
            "random": torch.get_rng_state(),
            "random_cuda": cuda,
            "history": self.history,
            "loader": self.loader.state(),
            "faces": self.sums.faces,
            "sums": {name: total.cpu() for name, total in self.sums.sums.items()},
        }
        checkpoint.save(self.out / run_folder.LAST, state)

    def _write_history(self) -> None:
        history.write(self.plot, [self._for_people(row) for row in self.history])

    def _for_people(self, row: Row) -> Row:
        """An epoch as it is shown; best.pt is chosen by the losses themselves."""
        names = self.objective.weights.current
        losses = {f"{part}_{name}" for part in ("train", "val") for name in names}
        return {
            name: self.objective.shown(value) if name in losses else value
            for name, value in row.items()
        }

    def _write_about(self) -> None:
        best, column = self._kept()
        chosen: dict[str, object] = {"best_epoch": best + 1, "chosen_by": column}
        chosen["label_similarity_before"] = self.label_similarity
        write_about(self.out, self.run, self.faces, self.model, chosen, self.marks)


def _label_similarity(model: Classifier) -> list[list[float]]:
    """Cosines of the labels' texts, rounded; empty where the model has no texts."""
    if not isinstance(model, JointEmbedding):
        return []
    return [[round(one, 6) for one in row] for row in model.label_similarity().tolist()]


def _say(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201 - the progress of a run is for people
