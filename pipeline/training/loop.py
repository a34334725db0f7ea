"""The one training loop: epochs of steps, validation, checkpoints, history."""

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import torch

from faceshards.wording import counted
from pipeline import models
from pipeline.engine import store
from pipeline.errors import UserError
from pipeline.models import Classifier, JointEmbedding
from pipeline.models.device import prepare
from pipeline.training import checkpoint, history, ranks, run_folder, tensorboard
from pipeline.training.about import write_about
from pipeline.training.history import Means, Row
from pipeline.training.inputs import Run, RunData, read
from pipeline.training.progress import EpochProgress, is_watched, say
from pipeline.training.schedule import learning_rate
from pipeline.training.steps import RunSteps
from pipeline.training.validation import validate

SAVE_EVERY_S = 600.0
"""Seconds after which last.pt is replaced in the middle of an epoch."""


def train(run: Run, shards: Path, out: Path, plot: Path, board: Path | None = None) -> int:
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
        board: folder of the run for TensorBoard; None = nothing is written for it.

    Returns:
        Epochs that were missing.

    Raises:
        UserError: before any training, where shards or weights are absent or unfit; later, where a
            loss is no longer finite, or another process trains the same run.
    """
    device = prepare()
    with ranks.joined(device):
        faces = read(run, shards, models.image_px(run.params.model))
        for note in faces.notes:
            say(f"train {run.name}: {note}")
        model = models.build(run.params.model, run.graph, run.seed, len(faces.classes))
        with store.locked(out) if ranks.is_first() else nullcontext():
            return _Training(run, faces, model.to(device), device, out, plot, board).finish()


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
        board: Path | None,
    ) -> None:
        self.run = run
        self.faces = faces
        self.model = model
        self.device = device
        self.out = out
        self.plot = plot
        self.board = board
        self.steps = RunSteps(run, faces, model, device)
        self.objective, self.learner = self.steps.objective, self.steps.learner
        self.loader = self.steps.loader
        self.marks = {
            "run_digest": run.digest,
            "start_digest": checkpoint.start_digest(run.params.model),
            "shards_digest": faces.digest,
        }
        self.label_similarity = _label_similarity(model)
        self.history: list[Row] = []
        self.sums = Means()
        """Losses of the epoch in flight."""

    def finish(self) -> int:
        """Trains the epochs that are missing; how many they were."""
        self._resume()
        there, epochs = len(self.history), self.run.params.optimizer.epochs
        if ranks.is_first():
            for path in self.out.glob(".tmp-*"):
                path.unlink()
        if there < epochs and ranks.is_first():
            (self.out / run_folder.ABOUT).unlink(missing_ok=True)  # not finished any more
        for epoch in range(there, epochs):
            row = self._epoch(epoch)
            self.history.append(row)
            if ranks.is_first():
                self._save(is_best=self._kept()[0] == epoch)
                if self.board:
                    tensorboard.add_epoch(self.board, self._for_people(row))
        if ranks.is_first():
            self._save_mean_of_epochs()
            self._write_about()
            self._write_history()
        return len(self.history) - there

    def _kept(self) -> tuple[int, str]:
        """The epoch, from 0, whose model is kept, and the column that chose it."""
        rule = self.run.params.optimizer.kept_epoch
        return history.kept_epoch(self.history, rule, self.objective.primary)

    def _epoch(self, epoch: int) -> Row:
        steps, size = len(self.loader), self.loader.order.batch_size
        saved_s = time.monotonic()
        behind = (self.run.params.optimizer.epochs - epoch - 1) * steps * size
        self.model.train()
        with EpochProgress(
            self._title(epoch), steps * size, self.loader.number * size, behind
        ) as progress:
            for losses in self.steps.of_epoch(epoch):
                self.sums.add(losses, size)
                progress.advance(size)
                is_due = ranks.is_first() and time.monotonic() - saved_s >= SAVE_EVERY_S
                if self.loader.number < steps and is_due:
                    self._save_last()
                    saved_s = time.monotonic()
        rate = learning_rate(self.run.params.optimizer, epoch + 1 - 1 / steps)  # of the last step
        row = {"epoch": float(epoch + 1), "learning_rate": rate}
        means, self.sums = self.sums.means(), Means()
        row |= {f"train_{name}": mean for name, mean in means.items()}
        with self.learner.averages.moving():
            row |= {f"val_{name}": value for name, value in self._validate().items()}
        row |= self.objective.weights.columns()
        self._check_finite(row)
        self.objective.weights.after_epoch(means)
        self.learner.averages.after_epoch(epoch)
        if not is_watched():
            numbers = [f"{name} {value:.4g}" for name, value in self._for_people(row).items()]
            say(f"{self._title(epoch)}: {', '.join(numbers[1:])}")
        return row

    def _validate(self) -> dict[str, float]:
        size = self.run.params.optimizer.batch_size
        return validate(self.learner, self.faces.val, size, self.device)

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
                say(f"train {self.run.name}: {why_not}; starting anew.")
            return
        self.learner.load_state_dict(last)
        self.history = last["history"]
        self.loader.resume(last["loader"])
        self.sums = Means(last["faces"], last["sums"])
        done = counted(len(self.history), "epoch is", "epochs are")
        batches = f", and {self.loader.number} batches of the next" if self.loader.number else ""
        say(f"train {self.run.name}: {done} done already{batches}.")

    def _save(self, is_best: bool) -> None:
        """Best before last: whoever finds last.pt finds the best of its epochs as well."""
        if is_best:
            with self.learner.averages.moving():
                self._save_best()
        self._save_last()
        self._write_history()

    def _save_best(self) -> None:
        """The model as it stands is the one to keep."""
        epoch, classes = len(self.history), list(self.faces.classes)
        state = {**self.marks, "epoch": epoch, "model": self.learner.weights(), "classes": classes}
        checkpoint.save(self.out / run_folder.BEST, state)

    def _save_mean_of_epochs(self) -> None:
        """Where the run averages its last epochs, that is the model to keep."""
        if self.run.params.averaging.last_epochs:
            with self.learner.averages.of_epochs():
                self._save_best()

    def _save_last(self) -> None:
        """Everything that is needed to go on, behind any step."""
        state = {
            **self.marks,
            **self.learner.state_dict(),
            "epoch": len(self.history),
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
        if last := self.run.params.averaging.last_epochs:
            words = f"none: mean of the last {counted(last, 'epoch', 'epochs')}"
            chosen |= {"best_epoch": len(self.history), "chosen_by": words}
        write_about(self.out, self.run, self.faces, self.model, chosen, self.marks)


def _label_similarity(model: Classifier) -> list[list[float]]:
    """Cosines of the labels' texts, rounded; empty where the model has no texts."""
    if not isinstance(model, JointEmbedding):
        return []
    return [[round(one, 6) for one in row] for row in model.label_similarity().tolist()]
