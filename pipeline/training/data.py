"""Faces of a run as batches of tensors: what the loader reads, with the labels that are learnt."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceshards.loader import Loader
from faceshards.order import ClassesBySamples, InOrder, Order, Shuffled
from faceshards.samples import Samples
from pipeline.labels.attribution import Attribution
from pipeline.training import ranks

_WHITE = 255.0


@dataclass(frozen=True)
class TrainingBatch:
    """Some faces with their labels."""

    images: Tensor
    """uint8 (B, side, side, 3) RGB."""
    labels: Tensor
    """int64 (B,): 0 real, 1 fake."""
    vectors: Tensor
    """int8 (B, nodes): 1 altered, 0 not, -1 unobserved; in the order of the shards' graph."""
    classes: Tensor
    """int64 (B,): 0 real, from 1 the classes of fakes; the labels where fakes are one class."""
    targets: Tensor | None = None
    """float32 (B, classes): soft targets in training, in place of the classes; None = these."""

    def without_images(self) -> "TrainingBatch":
        """The same without its images, which losses need not."""
        return dataclasses.replace(self, images=self.images[:, :0])

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same on a device."""
        return TrainingBatch(
            self.images.to(device),
            self.labels.to(device),
            self.vectors.to(device),
            self.classes.to(device),
            None if self.targets is None else self.targets.to(device),
        )


class Faces:
    """Samples of shard folders with what a run learns of them.

    Args:
        samples: what is read, scaled to the size that the model takes.
        vectors: int8 (n, nodes), learnt instead of the samples' own; None = those.
        classes: int8 (n,) 0 real, from 1 the classes of fakes; None where all fakes are one.
    """

    def __init__(
        self,
        samples: Samples,
        vectors: NDArray[np.int8] | None = None,
        classes: NDArray[np.int8] | None = None,
    ) -> None:
        self.samples = samples
        self.labels = samples.labels
        """int8 (n,) 0 real, 1 fake."""
        self.vectors = samples.vectors if vectors is None else vectors
        """int8 (n, nodes)."""
        self.classes = samples.labels if classes is None else classes
        """int8 (n,) 0 real, from 1 the classes of fakes."""

    def __len__(self) -> int:
        return len(self.samples)

    def shuffled(self, key: str, batch_size: int, per_class: int = 0) -> Loader:
        """Whole batches of an order that is a function of ``key``, epoch and number of the batch.

        What is left over at the end of an epoch is other faces in the next. A set smaller than one
        batch is one batch.

        Args:
            key: see above.
            batch_size: faces per batch.
            per_class: where above 0, a batch has so many faces of each of its classes, which are
                drawn anew for every batch (P x K batches); an epoch has as many batches.

        Raises:
            UserError: there are not so many classes of so many faces.
        """
        order: Order = Shuffled(len(self), min(len(self), batch_size))
        if per_class:
            classes = self.classes.astype(np.int64)
            batches = order.batches_per_epoch()
            order = ClassesBySamples(classes, batch_size // per_class, per_class, batches)
        return Loader(
            self.samples,
            order,
            threads=threads(),
            key=key,
            rank=ranks.number(),
            n_ranks=ranks.count(),
        )

    def in_order(self, batch_size: int) -> Loader:
        """All faces once, as they lie; the last batch may be smaller."""
        return Loader(
            self.samples,
            InOrder(len(self), batch_size),
            threads=threads(),
            rank=ranks.number(),
            n_ranks=ranks.count(),
        )

    def batches(self, loader: Loader) -> Iterator[TrainingBatch]:
        """The batches that are left of a loader's epoch; it must be one of these faces.

        Raises UserError where a tar does not hold what the index says.
        """
        for batch in loader:
            yield TrainingBatch(
                torch.from_numpy(batch.images),
                torch.from_numpy(self.labels[batch.places].astype(np.int64)),
                torch.from_numpy(self.vectors[batch.places]),
                torch.from_numpy(self.classes[batch.places].astype(np.int64)),
            )


def threads() -> int:
    """Threads that decode: one for each core that the process may use, shared with other ranks."""
    return max(1, len(os.sched_getaffinity(0)) // ranks.count())


def classes_of(index: pa.Table, attribution: Attribution) -> NDArray[np.int8]:
    """The class of every sample of a shard index, int8 (n,).

    Raises UserError for fakes without a class.
    """
    found = np.zeros(index.num_rows, np.int8)
    kinds = index.group_by(["label", "category", "dataset"]).aggregate([])
    for kind in kinds.to_pylist():
        mine = [pc.equal(index.column(name), value) for name, value in kind.items()]
        of_kind = functools.reduce(pc.and_, mine).to_numpy()  # (n,)
        found[of_kind] = attribution.index(**kind)
    return found


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What a model sees.

    Args:
        images: uint8 (B, H, W, 3) RGB.
        mean: of the three channels, for values from 0 to 1.
        std: likewise.

    Returns:
        float32 (B, 3, H, W) on the device of the images.
    """
    return standardised(images.permute(0, 3, 1, 2).float(), mean, std)


def standardised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The same for float32 (B, 3, H, W) images of values from 0 to 255."""
    shape = (1, 3, 1, 1)
    middle = torch.tensor(mean, dtype=torch.float32, device=images.device).reshape(shape)
    spread = torch.tensor(std, dtype=torch.float32, device=images.device).reshape(shape)
    return ((images / _WHITE - middle) / spread).contiguous()
