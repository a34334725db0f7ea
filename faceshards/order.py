"""Which samples make up batch b of epoch e: pure functions of (key, e, b), and nothing else.

The key names the data (a digest of the index), the filter and the seed. So a batch can be asked for
at any time, by any process, and is the same for every number of threads and ranks. Random numbers
come from Philox, a counter-based generator keyed by a text.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from faceshards.errors import UserError

Places = NDArray[np.int64]
"""Places of samples, 0-based."""


class Order(Protocol):
    """What decides on batches."""

    @property
    def batch_size(self) -> int:
        """Samples per global batch."""

    def batches_per_epoch(self) -> int:
        """How many global batches an epoch has, 0 or more; the same for every epoch."""

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """The samples of one global batch.

        Args:
            key: names the shuffle; the same key, epoch and number give the same batch everywhere.
            epoch: 0 or more.
            number: of the batch within the epoch, 0 to ``batches_per_epoch() - 1``.

        Returns:
            int64 (B,), 0-based places of the samples; B is ``batch_size``, and less only in the
            last batch of :class:`InOrder`.
        """


@dataclass(frozen=True)
class InOrder:
    """Every sample exactly once, as they lie; the last batch may be smaller. For evaluation."""

    n_samples: int
    batch_size: int

    def batches_per_epoch(self) -> int:
        """All samples: ceil(n / B)."""
        return -(-self.n_samples // self.batch_size)

    def batch(self, key: str, epoch: int, number: int) -> Places:  # noqa: ARG002 - always the same
        """The n-th batch of samples as they lie; see :meth:`Order.batch`."""
        first = number * self.batch_size
        return np.arange(first, min(first + self.batch_size, self.n_samples))


@dataclass(frozen=True)
class Shuffled:
    """A permutation per epoch, cut into whole batches.

    The n % B samples that are left over are dropped, and are others in every epoch.
    """

    n_samples: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.n_samples < self.batch_size:
            raise UserError(
                f"A batch of {self.batch_size} cannot be drawn from {self.n_samples} samples "
                "without repeating some. Choose a smaller batch."
            )

    def batches_per_epoch(self) -> int:
        """Whole batches: floor(n / B)."""
        return self.n_samples // self.batch_size

    @property
    def dropped_per_epoch(self) -> int:
        """How many samples an epoch leaves out."""
        return self.n_samples % self.batch_size

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """The n-th part of the epoch's permutation; see :meth:`Order.batch`."""
        order = _epoch_permutation(f"{key}/{epoch}", self.n_samples)
        return order[number * self.batch_size : (number + 1) * self.batch_size]


@dataclass(frozen=True)
class Balanced:
    """Every batch has as many samples of each group; without repeats as long as a group lasts.

    Each group is dealt from permutations of its own, one after the other, so that all samples of a
    group come equally often.

    Args:
        groups: int64 (n,), group of each sample, 0 to G - 1.
        batch_size: a multiple of the number of groups.
        batches: per epoch.
    """

    groups: NDArray[np.int64]
    batch_size: int
    batches: int

    def __post_init__(self) -> None:
        if self.batch_size % self._n_groups:
            raise UserError(
                f"A batch of {self.batch_size} cannot hold equal parts of {self._n_groups} groups. "
                f"Choose a multiple of {self._n_groups}."
            )

    @property
    def _n_groups(self) -> int:
        return len(self._members)

    @cached_property
    def _members(self) -> list[Places]:
        """Places of the samples of each group."""
        return _by_group(self.groups)

    @cached_property
    def _deck(self) -> Callable[[str, int], Places]:
        """A permutation by its key; those that a batch needs are at hand for the next one."""
        return lru_cache(maxsize=2 * self._n_groups)(_permutation)

    def batches_per_epoch(self) -> int:
        """The number of batches that this order was made with."""
        return self.batches

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """Equal parts of all groups, in mixed order; see :meth:`Order.batch`."""
        each = self.batch_size // self._n_groups
        first = (epoch * self.batches + number) * each
        parts = []
        for group, members in enumerate(self._members):
            at = np.arange(first, first + each)
            decks, places = at // len(members), at % len(members)
            dealt = [
                self._deck(f"{key}/group {group}/deck {deck}", len(members))[place]
                for deck, place in zip(decks.tolist(), places.tolist(), strict=True)
            ]
            parts.append(members[dealt])
        batch = np.concatenate(parts)
        return batch[generator(f"{key}/{epoch}/{number}").permutation(len(batch))]


@dataclass(frozen=True)
class Weighted:
    """Samples drawn independently, each with a probability in proportion to its weight.

    Args:
        weights: float64 (n,), 0 and up, some above 0.
        batch_size: samples per batch; one may come twice.
        batches: per epoch.
    """

    weights: NDArray[np.float64]
    batch_size: int
    batches: int

    def __post_init__(self) -> None:
        if not (self.weights >= 0).all() or not self.weights.sum() > 0:
            raise UserError("Weights must be 0 or above, and some of them above 0.")

    def batches_per_epoch(self) -> int:
        """The number of batches that this order was made with."""
        return self.batches

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """Independent draws by weight; see :meth:`Order.batch`."""
        drawn = generator(f"{key}/{epoch}/{number}").random(self.batch_size) * self._edges[-1]
        found = np.searchsorted(self._edges, drawn, side="right")
        return np.asarray(np.minimum(found, self._last), np.int64)

    @cached_property
    def _edges(self) -> NDArray[np.float64]:
        return np.cumsum(self.weights)  # (n,)

    @cached_property
    def _last(self) -> int:
        """The last sample that may be drawn: rounding must not reach one of weight 0 behind it."""
        return int(np.flatnonzero(self.weights)[-1])


@dataclass(frozen=True)
class ClassesBySamples:
    """P x K batches: P groups are drawn, and K different samples of each. For metric learning.

    Groups of fewer than K samples never come.

    Args:
        groups: int64 (n,), group of each sample, 0 to G - 1.
        n_groups: P, groups per batch.
        per_group: K, samples of each.
        batches: per epoch.
    """

    groups: NDArray[np.int64]
    n_groups: int
    per_group: int
    batches: int

    def __post_init__(self) -> None:
        if len(self._eligible) < self.n_groups:
            raise UserError(
                f"Batches of {self.n_groups} groups with {self.per_group} samples each are asked "
                f"for, but only {len(self._eligible)} groups have so many samples."
            )

    @property
    def batch_size(self) -> int:
        """Samples per global batch: P x K."""
        return self.n_groups * self.per_group

    @cached_property
    def _eligible(self) -> list[Places]:
        """Places of the samples of each group that is large enough."""
        return [m for m in _by_group(self.groups) if len(m) >= self.per_group]

    def batches_per_epoch(self) -> int:
        """The number of batches that this order was made with."""
        return self.batches

    def batch(self, key: str, epoch: int, number: int) -> Places:
        """The groups that were drawn, one after the other; see :meth:`Order.batch`."""
        draws = generator(f"{key}/{epoch}/{number}")
        chosen = draws.permutation(len(self._eligible))[: self.n_groups].tolist()
        some = [draws.choice(self._eligible[g], self.per_group, replace=False) for g in chosen]
        return np.concatenate(some)


def group_numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers (n,) of values (n,), 0 for the smallest: what :class:`Balanced` takes as groups."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def equal_weights(groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights (n,) by which every group (n,) is drawn equally often; their mean is 1."""
    counts = np.bincount(groups)
    return len(groups) / (np.count_nonzero(counts) * counts[groups].astype(np.float64))


def group_weights(values: NDArray[Any], weights: Mapping[Any, float]) -> NDArray[np.float64]:
    """Weights (n,) by which the samples of each value together have the share that is stated.

    Args:
        values: (n,), such as the datasets of the samples.
        weights: share of each value, in any unit; values that are not named are not drawn.

    Raises:
        UserError: a value is named that no sample has.
    """
    known, groups = np.unique(values, return_inverse=True)
    odd = sorted(set(weights) - set(known.tolist()))
    if odd:
        raise UserError(f"Weights name {', '.join(map(repr, odd))}, which no sample has.")
    share = np.array([weights.get(value, 0.0) for value in known.tolist()], np.float64)
    return np.asarray(share[groups] / np.bincount(groups)[groups], np.float64)


def video_weights(labels: NDArray[np.int64], videos: NDArray[np.int64]) -> NDArray[np.float64]:
    """The weights of the table ``samples``: classes equal, videos equal in a class, mean 1.

    Args:
        labels: (n,) 0 or 1.
        videos: (n,) number of each sample's video.
    """
    per_video = 1.0 / np.bincount(videos)[videos]  # a video's samples share its weight
    total = np.bincount(labels, per_video)
    weights = per_video / total[labels]
    return np.asarray(weights * (len(labels) / weights.sum()), np.float64)


def generator(key: str) -> np.random.Generator:
    """Counter-based random numbers that are a function of a text alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))


def _by_group(groups: NDArray[np.int64]) -> list[Places]:
    """Places of the members of each group 0 to G - 1, ascending."""
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups))
    return np.split(order, ends[:-1]) if len(ends) else []


def _permutation(key: str, n: int) -> Places:
    order = generator(key).permutation(n).astype(np.int64)
    order.flags.writeable = False  # it is shared
    return order


_epoch_permutation = lru_cache(maxsize=2)(_permutation)
"""Kept for the epoch that is read and the one that is fetched ahead."""
