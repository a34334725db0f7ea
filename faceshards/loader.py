"""Batches of decoded faces from shard folders on a local or fast disk.

Threads decode straight into the buffer of a batch; they only fetch, and which samples a batch holds
never depends on them (:mod:`faceshards.order`). The images of a few batches are held in memory.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from faceshards.errors import UserError
from faceshards.filters import Places
from faceshards.order import Order
from faceshards.samples import POINTS, Samples
from faceshards.standing import Standing

BATCHES_AHEAD = 2
"""Batches that are decoded while one is worked on."""


@dataclass(frozen=True)
class Batch:
    """Some samples: images and labels."""

    images: NDArray[np.uint8]
    """uint8 (B, side, side, 3), RGB."""
    labels: NDArray[np.int64]
    """int64 (B,): 0 real, 1 fake."""
    vectors: NDArray[np.int8]
    """int8 (B, nodes): 1 altered, 0 not, -1 unobserved, in the order of the folders' graph."""
    places: Places
    """int64 (B,): which samples these are, in the order of :class:`Samples`."""
    landmarks: NDArray[np.float32] | None = None
    """float32 (B, 68, 2): x and y in px of ``images``, whole numbers are pixel centres; NaN for a
    face that has none. None unless the samples are read with them."""


Each = Callable[[int, Batch, int], None]
"""What is done with each image in place, as soon as it is decoded: the epoch, the batch, and the
image's place in it. Decoding threads call it; as a function of these three alone, it keeps
batches the same for any number of threads."""


class Loader(Standing):
    """Batches of an order, from any point of it on.

    The global batch b of epoch e is a pure function of the samples, the seed, e and b. A rank takes
    an equal slice of each global batch; the last batch of :class:`faceshards.order.InOrder` may be
    smaller, and ranks may then have different shares of it, down to none. Nothing is exchanged
    between ranks. A state is good for any number of ranks or threads.

    Args:
        samples: what is read.
        order: what batches hold.
        seed: 0 and up; another one gives other batches.
        threads: that decode; 0 = decode where batches are asked for.
        rank: 0 to ``n_ranks`` - 1.
        n_ranks: processes that share each batch; divides the batch size.
        key: what the order is a function of, in place of the samples' content and the seed; for
            whoever checks by other means that the samples are the same.
        each: what is done with every image.
    """

    def __init__(
        self,
        samples: Samples,
        order: Order,
        *,
        seed: int = 0,
        threads: int = 2,
        rank: int = 0,
        n_ranks: int = 1,
        key: str = "",
        each: Each | None = None,
    ) -> None:
        if not 0 <= rank < n_ranks:
            raise UserError(f"Rank {rank} of {n_ranks} does not exist.")
        if order.batch_size % n_ranks:
            raise UserError(
                f"A batch of {order.batch_size} cannot be shared equally by {n_ranks} ranks. "
                "Choose a multiple."
            )
        self.samples, self.order = samples, order
        super().__init__(
            key or f"{samples.key}/{seed}",
            "The loader's state belongs to other shards, another filter or another seed. Start "
            "anew, or give those that it was saved with.",
        )
        self._threads, self._each = threads, each
        part = order.batch_size // n_ranks
        self._share = slice(rank * part, (rank + 1) * part)

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.order.batches_per_epoch()

    def places(self, epoch: int, number: int) -> Places:
        """Places (B / ranks,) of this rank's share of a global batch."""
        return self.order.batch(self._key, epoch, number)[self._share]

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the epoch it stands in; then it stands in the next one.

        Raises UserError as :meth:`Samples.decode_into`.
        """
        epoch = self.epoch
        plan = (self.places(epoch, n) for n in range(self.number, len(self)))
        each = partial(self._each, epoch) if self._each else None
        for batch in decoded(self.samples, plan, self._threads, each):
            self.number += 1
            yield batch
        self.epoch, self.number = epoch + 1, 0


def decoded(
    samples: Samples,
    plan: Iterator[Places],
    threads: int,
    each: Callable[[Batch, int], None] | None = None,
) -> Iterator[Batch]:
    """Batches of the places of a plan, in its order; some are decoded ahead by threads."""
    if not threads:
        for places in plan:
            batch = _empty(samples, places)
            _decode(samples, batch, range(len(places)), each)
            yield batch
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[tuple[Batch, list[Future[None]]]] = deque()

        def submit(places: Places) -> None:
            batch = _empty(samples, places)
            # A thread decodes every n-th image: large ones are spread over all.
            shares = [range(t, len(places), threads) for t in range(min(threads, len(places)))]
            jobs = [pool.submit(_decode, samples, batch, share, each) for share in shares]
            waiting.append((batch, jobs))

        for places in islice(plan, BATCHES_AHEAD):
            submit(places)
        while waiting:
            batch, jobs = waiting.popleft()
            for places in islice(plan, 1):
                submit(places)
            for job in jobs:
                job.result()
            yield batch


def _empty(samples: Samples, places: Places) -> Batch:
    shape = (len(places), samples.side_px, samples.side_px, 3)
    return Batch(
        np.empty(shape, np.uint8),
        samples.labels[places].astype(np.int64),
        samples.vectors[places],
        places,
        np.empty((len(places), POINTS, 2), np.float32) if samples.with_landmarks else None,
    )


def _decode(
    samples: Samples, batch: Batch, share: range, each: Callable[[Batch, int], None] | None
) -> None:
    for at in share:
        place = int(batch.places[at])
        samples.decode_into(place, batch.images[at])
        if batch.landmarks is not None:
            batch.landmarks[at] = samples.landmarks(place)
        if each is not None:
            each(batch, at)
