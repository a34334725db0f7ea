"""Batches of decoded faces from shard folders that are far away or very large.

The sibling of :class:`faceshards.loader.Loader` for ``http(s)`` and ``s3``, built on webdataset and
PyTorch's workers. Tars are read whole and one after the other, so its layout is fixed: the order is
a function of the samples, the seed, the epoch *and* the numbers of ranks and workers. Another
layout gives other batches, and the state of one cannot be resumed under another. It resumes at
shard level: the tars that the next batch comes from are read again from their beginnings, those
before them are not. No batch comes twice, and none is left out.
"""

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np
import simplejpeg
import webdataset
from numpy.typing import NDArray
from webdataset.utils import pytorch_worker_info

from faceshards.errors import UserError
from faceshards.loader import Batch
from faceshards.remote import RemoteSamples
from faceshards.samples import decode_jpeg_into
from faceshards.standing import Standing
from faceshards.stream_order import Block, blocks, mixture, share


class StreamLoader(Standing):
    """Batches of one rank.

    Each epoch, all samples are dealt to the ranks' workers in equal parts (they differ by one
    sample at most); nothing is exchanged between ranks.

    - For training (the default), tars and samples are shuffled anew in every epoch, and every rank
      has the same number of whole batches; :attr:`dropped_per_epoch` samples, others in every
      epoch, are left out.
    - With ``shuffle=False``, for evaluation, every sample comes exactly once over all ranks, and a
      worker's last batch may be smaller.
    - With ``weights``, each sample is drawn from one of the urls by weight; an epoch has as many
      ``batches`` as stated, and a url that is used up begins again in another order.

    Args:
        samples: what is read.
        batch_size: samples per batch of this rank.
        seed: 0 and up; another one gives another order.
        rank: 0 to ``n_ranks`` - 1.
        n_ranks: processes that share the samples.
        workers: processes that read and decode for this rank (this needs PyTorch); 0 = none.
        shuffle: see above.
        weights: share of each url, in any unit; () = all samples alike.
        batches: per rank and epoch, with weights alone.
        tars_together: tars whose samples are mixed with each other. Every worker holds their
            images in memory.

    Raises:
        UserError: there is no such rank, there are too few samples for one batch of each worker, or
            weights do not fit the urls.
    """

    def __init__(
        self,
        samples: RemoteSamples,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
        workers: int = 0,
        shuffle: bool = True,
        weights: Sequence[float] = (),
        batches: int = 0,
        tars_together: int = 2,
    ) -> None:
        if not 0 <= rank < n_ranks:
            raise UserError(f"Rank {rank} of {n_ranks} does not exist.")
        self.samples, self.batch_size = samples, batch_size
        self._rank, self._workers, self._each = rank, workers, max(1, workers)
        self._n_readers = n_ranks * self._each
        self._shuffle, self._weights, self._batches_stated = shuffle, tuple(weights), batches
        self._tars_together = tars_together if shuffle else 1
        self._check()
        layout = (n_ranks, workers, batch_size, self._tars_together, shuffle, self._weights)
        super().__init__(
            f"{samples.key}/{seed}/{layout}",
            "The stream's state belongs to other shards, another filter, seed or number of ranks "
            "or workers. Start anew, or give those that it was saved with.",
        )

    def __len__(self) -> int:
        """Batches of this rank per epoch."""
        if self._weights:
            return self._batches_stated
        if self._shuffle:
            return self._each * (len(self.samples) // self._n_readers // self.batch_size)
        sizes = [len(self._share(worker)) for worker in range(self._each)]
        return sum(-(-size // self.batch_size) for size in sizes)

    @property
    def dropped_per_epoch(self) -> int:
        """How many samples an epoch of training leaves out, over all ranks."""
        whole = len(self.samples) // self._n_readers // self.batch_size
        return len(self.samples) - self._n_readers * self.batch_size * whole

    def __iter__(self) -> Iterator[Batch]:
        """The batches that are left of the epoch it stands in; then it stands in the next one.

        Raises UserError, with url and key, for what cannot be read or decoded.
        """
        epoch, first = self.epoch, self.number
        pipeline = webdataset.DataPipeline(_Reading(self, epoch, first))
        found: Iterator[Batch | UserError] = iter(pipeline)
        if self._workers:
            from torch.utils.data import DataLoader

            found = iter(
                DataLoader(
                    pipeline, batch_size=None, num_workers=self._workers, collate_fn=_as_it_is
                )
            )
        for batch in found:
            if isinstance(batch, UserError):
                raise batch
            self.number += 1
            yield batch
        self.epoch, self.number = epoch + 1, 0

    def read(self, epoch: int, first: int, worker: int) -> Iterator[Batch]:
        """What a worker gives of an epoch whose first ``first`` batches are delivered already."""
        # Batches come from the workers in turns, and PyTorch begins each time with the first one.
        role = (worker + first) % self._each
        done = max(0, -(-(first - role) // self._each))
        reader = self._rank * self._each + role
        if self._weights:
            wanted = len(share(self._batches_stated, role, self._each)) * self.batch_size
            images = self._mixed(epoch, reader, wanted, done * self.batch_size)
        else:
            key = f"{self._key}/{epoch}" if self._shuffle else None
            tars = range(len(self.samples.starts) - 1)
            mine = self._blocks(tars, reader, key)
            images = self._images(mine, done * self.batch_size)
            if self._shuffle:
                whole = len(self.samples) // self._n_readers // self.batch_size
                images = islice(images, (whole - done) * self.batch_size)
        while some := list(islice(images, self.batch_size)):
            yield self._batch(some)

    def _check(self) -> None:
        sizes = np.diff(self.samples.starts)
        of_source = [int(sizes[list(tars)].sum()) for tars in self.samples.sources]
        if self._weights:
            if len(self._weights) != len(of_source):
                raise UserError(
                    f"{len(self._weights)} weights are given for {len(of_source)} urls."
                )
            if min(self._weights) < 0 or not sum(self._weights) > 0 or self._batches_stated < 1:
                raise UserError(
                    "Weights must be 0 or above, some of them above 0, and batches 1 or more."
                )
            few = [n for n, w in zip(of_source, self._weights, strict=True) if w]
        else:
            few = [len(self.samples)]
        needed = self._n_readers * (self.batch_size if self._shuffle and not self._weights else 1)
        if self._shuffle and min(few) < needed:
            raise UserError(
                f"{min(few)} samples are too few for {self._n_readers} workers over all ranks with "
                f"batches of {self.batch_size}. Choose fewer workers or smaller batches."
            )

    def _share(self, worker: int) -> range:
        return share(len(self.samples), self._rank * self._each + worker, self._n_readers)

    def _blocks(self, tars: Sequence[int], reader: int, key: str | None) -> Iterator[Block]:
        starts, together = self.samples.starts, self._tars_together
        return blocks(starts, tars, reader, self._n_readers, together, key)

    def _images(self, mine: Iterator[Block], skip: int) -> Iterator[tuple[int, bytes]]:
        """Place and JPEG of the samples of some blocks, behind the first ``skip``.

        Blocks that are skipped as a whole are not read.
        """
        for block in mine:
            if skip >= len(block.places):
                skip -= len(block.places)
                continue
            left = block.places[skip:]
            held: dict[int, bytes] = {}
            for number in block.tars:
                start, end = self.samples.starts[number], self.samples.starts[number + 1]
                places = left[(left >= start) & (left < end)]
                if len(places):
                    held.update(self.samples.jpegs(number, places))
            for place in left.tolist():
                yield place, held.pop(place)
            skip = 0

    def _mixed(
        self, epoch: int, reader: int, wanted: int, skip: int
    ) -> Iterator[tuple[int, bytes]]:
        key = f"{self._key}/{epoch}"
        drawn = mixture(f"{key}/reader {reader}", self._weights, wanted)
        streams = []
        for number, tars in enumerate(self.samples.sources):
            passes = self._passes(tars, reader, f"{key}/url {number}")
            before = int(np.count_nonzero(drawn[:skip] == number))
            streams.append(self._images(passes, before))
        return (next(streams[number]) for number in drawn[skip:].tolist())

    def _passes(self, tars: Sequence[int], reader: int, key: str) -> Iterator[Block]:
        """A reader's blocks of some tars, pass after pass without end."""
        for again in count():
            yield from self._blocks(tars, reader, f"{key}/pass {again}")

    def _batch(self, some: Sequence[tuple[int, bytes]]) -> Batch:
        places = np.array([place for place, _ in some], np.int64)
        side_px = self.samples.size_px or self._side_px(*some[0])
        images = np.empty((len(some), side_px, side_px, 3), np.uint8)
        for (place, jpeg), image in zip(some, images, strict=True):
            self._decode(place, jpeg, image)
        labels = self.samples.labels[places].astype(np.int64)
        return Batch(images, labels, self.samples.vectors[places], places)

    def _decode(self, place: int, jpeg: bytes, out: NDArray[np.uint8]) -> None:
        try:
            stored = simplejpeg.decode_jpeg_header(jpeg)[:2]
            decode_jpeg_into(jpeg, out, bool(self.samples.size_px) and stored != out.shape[:2])
        except ValueError as error:
            raise self._damaged(place, error) from error

    def _side_px(self, place: int, jpeg: bytes) -> int:
        try:
            return int(simplejpeg.decode_jpeg_header(jpeg)[0])
        except ValueError as error:
            raise self._damaged(place, error) from error

    def _damaged(self, place: int, error: ValueError) -> UserError:
        return UserError(f"{self.samples.name(place)} cannot be decoded: {error}.")


class _Reading:
    """The first stage of a webdataset pipeline: what one worker reads. It can be pickled."""

    def __init__(self, loader: StreamLoader, epoch: int, first: int) -> None:
        self._loader, self._epoch, self._first = loader, epoch, first

    def __call__(self) -> Iterator[Batch | UserError]:
        """Batches; in place of one that cannot be made, what is wrong, which ends the stream.

        PyTorch would put a worker's traceback into the message.
        """
        worker = pytorch_worker_info()[2] if self._loader._workers else 0
        try:
            yield from self._loader.read(self._epoch, self._first, worker)
        except UserError as error:
            yield error


def _as_it_is(batch: object) -> object:
    return batch
