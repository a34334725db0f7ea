"""Faces of a run on self-blended images: reals, each with a fake made of it anew each epoch.

The blends are made by the threads that decode, ahead of the step that needs them, by
:mod:`pipeline.expansion.self_blending`. What is drawn is a function of the run's key, the epoch and
the face alone, so that a resumed run sees the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from faceshards.filters import ByPlace, Places
from faceshards.keys import hash64
from faceshards.loader import Batch, Each, Loader
from faceshards.order import InOrder, Order, Shuffled
from faceshards.samples import Samples
from pipeline.expansion.self_blending import base_of, self_blend
from pipeline.training import ranks
from pipeline.training.data import Faces, threads

_UNOBSERVED = -1


@dataclass(frozen=True)
class RealFakePairs:
    """Batches of another order, in which each sample i is the pair 2 i (a real) and 2 i + 1."""

    of: Order

    @property
    def batch_size(self) -> int:
        """Two for each sample of the other order."""
        return 2 * self.of.batch_size

    def batches_per_epoch(self) -> int:
        """As many as the other order has."""
        return self.of.batches_per_epoch()

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """See :class:`faceshards.order.Order`."""
        firsts = 2 * self.of.batch(key, epoch, number)  # (B,)
        return np.stack([firsts, firsts + 1], axis=1).ravel()


class SelfBlendedFaces(Faces):
    """Reals with landmarks, each followed by its fake.

    A real is what its fake was blended into: half of the time the stored face, half of the time
    that with other colors or sharpness, as in the authors' code. Of label vectors the first node
    alone is observed: a fake's others are not known, and a real's are not either then, since they
    would be learnt to be 0.

    Args:
        folders: shard folders.
        reals: int64 (n,), places of reals that have landmarks, ascending.
        side_px: of the images that come out.
        n_nodes: of the label graph that the run learns.
    """

    def __init__(self, folders: Sequence[Path], reals: Places, side_px: int, n_nodes: int) -> None:
        where = ByPlace(np.repeat(reals, 2))
        samples = Samples(folders, where, side_px, columns=("key",), landmarks=True)
        labels = np.tile(np.array([0, 1], np.int8), len(reals))
        vectors = np.full((len(labels), n_nodes), _UNOBSERVED, np.int8)
        vectors[:, :1] = labels[:, None]
        super().__init__(samples, vectors, labels)
        self.labels = labels
        names = samples.table.column("key")[::2].to_pylist()
        self._names = np.array([*map(hash64, names)], np.uint64)
        samples.table = samples.table.drop_columns(["key"])  # as large as all else together

    def shuffled(self, key: str, batch_size: int, _per_class: int = 0) -> Loader:
        """Batches of ``batch_size`` / 2 reals and their fakes; else as those of :class:`Faces`."""
        reals = len(self) // 2
        order = RealFakePairs(Shuffled(reals, min(reals, batch_size // 2)))
        return Loader(
            self.samples,
            order,
            threads=threads(),
            key=key,
            each=self._blends(key),
            rank=ranks.number(),
            n_ranks=ranks.count(),
        )

    def in_order(self, batch_size: int) -> Loader:
        """All pairs once, as they lie; the same blends each time."""
        order = InOrder(len(self), batch_size)
        return Loader(
            self.samples,
            order,
            threads=threads(),
            each=self._blends("in order"),
            rank=ranks.number(),
            n_ranks=ranks.count(),
        )

    def _blends(self, key: str) -> Each:
        return partial(self._blend, f"{key}/self-blended")

    def _blend(self, key: str, epoch: int, batch: Batch, at: int) -> None:
        """Makes a real what its fake was blended into, and a fake of the other."""
        place, image = int(batch.places[at]), batch.images[at]
        seed = hash64(f"{key}/{epoch}/{self._names[place // 2]}")
        if place % 2 == 0 or batch.landmarks is None:
            image[:] = base_of(image, seed)
        else:
            image[:] = self_blend(image, batch.landmarks[at].astype(np.float64), seed).image


def with_landmarks(folders: Sequence[Path], places: Places) -> Places:
    """Those of some samples (n,) that have landmarks, ascending. Reads the json of each."""
    samples = Samples(folders, ByPlace(places), landmarks=True)
    there = [bool(np.isfinite(samples.landmarks(at)).all()) for at in range(len(samples))]
    return np.asarray(places[np.array(there, bool)], np.int64)
