"""The steps of a run: batches of its faces, prepared and learnt, one after the other."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from faceshards.keys import hash64
from faceshards.loader import Loader
from pipeline.models import Classifier
from pipeline.training import ranks
from pipeline.training.augmentation import changed, changes
from pipeline.training.data import Faces, TrainingBatch
from pipeline.training.inputs import Run, RunData
from pipeline.training.loss_weights import Prepared
from pipeline.training.objective import make_objective
from pipeline.training.schedule import learning_rate
from pipeline.training.step import Learner


class RunSteps:
    """What is done with the faces of a run, up to validation.

    Args:
        run: what is trained.
        faces: its faces.
        model: on the device.
        device: where it is trained.
    """

    def __init__(self, run: Run, faces: RunData, model: Classifier, device: torch.device) -> None:
        self._params = run.params
        self._data = faces
        self._device = device
        self._mean, self._std = model.mean, model.std
        self._key = f"{run.seed}/{run.name}"
        self.objective = make_objective(run.params.objective, model, run.graph)
        counts = np.bincount(faces.train.classes, minlength=len(faces.classes))
        self.objective.class_counts = tuple(counts.tolist())
        self.learner = Learner(model, self.objective, run.params)
        self.loader = self._loader(self._key, faces.train)
        """Where the run stands."""

    def of_epoch(self, epoch: int) -> Iterator[dict[str, Tensor]]:
        """Makes the steps that are left of an epoch (from 0).

        Yields the unweighted losses of each, over the whole batch; the loader then stands behind
        it.
        """
        first, steps = self.loader.number, len(self.loader)
        second = self._second(epoch, first)
        for step, batch in enumerate(self._data.train.batches(self.loader), first):
            # Whatever a step draws (drop path) depends on nothing before it.
            torch.manual_seed(hash64(f"{self._key}/step/{epoch}/{step}/{ranks.number()}"))
            rate = learning_rate(self._params.optimizer, epoch + step / steps)
            prepared = self._prepared(batch, f"{self._key}/augmentation/{epoch}/{step}")
            yield self.learner.step(prepared, next(second), rate)

    def _loader(self, key: str, faces: Faces) -> Loader:
        params = self._params.optimizer
        return faces.shuffled(key, params.batch_size, params.per_class)

    def _second(self, epoch: int, first: int) -> Iterator[Prepared | None]:
        """Other faces, in another order, from a batch on; None where the objective needs none."""
        source = self.objective.weights.second_from
        if not source:
            while True:
                yield None
        faces, key = getattr(self._data, source), f"{self._key}/second"
        loader, number = self._loader(key, faces), epoch * len(self.loader) + first
        loader.epoch, loader.number = divmod(number, len(loader))
        while True:
            for batch in faces.batches(loader):
                yield self._prepared(batch, f"{key}/augmentation/{number}", source == "train")
                number += 1

    def _prepared(self, batch: TrainingBatch, key: str, is_changed: bool = True) -> Prepared:
        """A batch on the device, changed as the run's policy says by draws that the key gives."""
        here = batch.to(self._device)
        first = ranks.number() * len(here.images)
        places = range(first, first + len(here.images))
        policy = self._params.augmentation if is_changed else "none"
        each = changes(policy, key, places, here.images.shape[1])
        images = changed(here.images, each, self._mean, self._std)
        prepared = Prepared(images, here)
        return self.objective.prepared(prepared, key) if is_changed else prepared
