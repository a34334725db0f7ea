"""Faces of shard folders as batches: read in place by offset, in an order that is a pure function.

Nothing here remembers anything: batch b of epoch e follows from the seed, the run's name, e, b and
the shards. Memory does not grow with the images, only with some 50 bytes per face.
"""

import functools
import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceshards import tar
from faceshards.images import Image, decode_rgb
from faceshards.reading import Shards
from pipeline.errors import UserError
from pipeline.labels.attribution import Attribution

BATCHES_AHEAD = 2
"""Batches that are decoded while one is worked on."""

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

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same on a device."""
        return TrainingBatch(
            self.images.to(device),
            self.labels.to(device),
            self.vectors.to(device),
            self.classes.to(device),
        )


class Faces:
    """The faces of one or more shard folders, one after the other, in the order of their indexes.

    Args:
        folders: opened shard folders whose vectors follow the same graph.
        side_px: side of the square images that come out.
        attribution: names the classes of fakes; None where all are one.
        rows: rows of each folder's index that count, with the vectors to be learnt; None = all, as
            they are.

    Raises:
        UserError: the folders' label vectors differ in length, or a fake has no class.
    """

    def __init__(
        self,
        folders: Sequence[Shards],
        side_px: int,
        attribution: Attribution | None = None,
        rows: Sequence[pa.Table] | None = None,
    ) -> None:
        self.side_px = side_px
        counted = [shards.index for shards in folders] if rows is None else rows
        indexes = list(zip(folders, counted, strict=True))
        self.labels = _joined(indexes, "label").astype(np.int8)
        """(n,) 0 real, 1 fake."""
        self.vectors = _vectors([index for _, index in indexes])
        """int8 (n, nodes)."""
        self.classes = self.labels
        """int8 (n,) 0 real, from 1 the classes of fakes."""
        if attribution is not None:
            parts = [classes_of(index, attribution) for _, index in indexes]
            self.classes = np.concatenate(parts)
        self._offsets = _joined(indexes, "jpg_offset")
        self._sizes = _joined(indexes, "jpg_size")
        self._tars = [shards.folder / name for shards, _ in indexes for name in sorted(shards.tars)]
        tar_index = {path: index for index, path in enumerate(self._tars)}
        numbers = [
            [tar_index[shards.folder / name] for name in index.column("tar").to_pylist()]
            for shards, index in indexes
        ]
        self._tar_indices = np.array([n for some in numbers for n in some], np.int32)  # (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, face: int, flipped: bool = False) -> Image:
        """Decodes one face: uint8 (side, side, 3) RGB, mirrored left to right where asked.

        Raises UserError where its tar does not hold what the index says.
        """
        path = self._tars[self._tar_indices[face]]
        try:
            data = tar.read(path, int(self._offsets[face]), int(self._sizes[face]))
            image = resized(decode_rgb(data), self.side_px)
        except (ValueError, OSError) as error:
            raise UserError(
                f"A face cannot be read from {path}: {error}. Make the shards anew with "
                "`dvc repro shard`."
            ) from error
        return image[:, ::-1] if flipped else image

    def batches(
        self, plan: Iterable[tuple[NDArray[np.int64], NDArray[np.bool_]]]
    ) -> Iterator[TrainingBatch]:
        """Batches of a plan (indices of faces, which are mirrored), decoded ahead by threads.

        Raises UserError as :meth:`image`.
        """
        waiting: deque[tuple[NDArray[np.int64], list[Future[Image]]]] = deque()
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            for faces, flips in plan:
                jobs = [
                    threads.submit(self.image, int(face), bool(flip))
                    for face, flip in zip(faces, flips, strict=True)
                ]
                waiting.append((faces, jobs))
                if len(waiting) > BATCHES_AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())

    def _batch(self, faces: NDArray[np.int64], jobs: Sequence[Future[Image]]) -> TrainingBatch:
        images = np.stack([job.result() for job in jobs])  # (B, side, side, 3)
        return TrainingBatch(
            torch.from_numpy(images),
            torch.from_numpy(self.labels[faces].astype(np.int64)),
            torch.from_numpy(self.vectors[faces]),
            torch.from_numpy(self.classes[faces].astype(np.int64)),
        )


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


def resized(image: Image, side_px: int) -> Image:
    """Square image of ``side_px``: by area where it shrinks, else bicubic; or as it is."""
    if image.shape[:2] == (side_px, side_px):
        return image
    shrinks = min(image.shape[:2]) > side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=how), np.uint8)


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """What a model sees.

    Args:
        images: uint8 (B, H, W, 3) RGB.
        mean: of the three channels, for values from 0 to 1.
        std: likewise.

    Returns:
        float32 (B, 3, H, W) on the device of the images.
    """
    scaled = images.permute(0, 3, 1, 2).to(torch.float32) / _WHITE  # (B, 3, H, W)
    shape = (1, 3, 1, 1)
    middle = torch.tensor(mean, dtype=torch.float32, device=images.device).reshape(shape)
    spread = torch.tensor(std, dtype=torch.float32, device=images.device).reshape(shape)
    return ((scaled - middle) / spread).contiguous()


def steps_per_epoch(n_faces: int, batch_size: int) -> int:
    """Whole batches in an epoch; a set smaller than one batch is one batch."""
    return max(1, n_faces // batch_size)


def epoch_plan(
    seed: int, run: str, epoch: int, n_faces: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Which faces make up the batches of a training epoch, and which of them are mirrored.

    A permutation keyed by (seed, run, epoch), cut into whole batches: what is left over at the end
    of an epoch differs from epoch to epoch. Half of the faces, drawn from the same key, are
    mirrored left to right, which is the only augmentation.

    Args:
        seed: of params.yaml.
        run: name of the run.
        epoch: counted from 0.
        n_faces: at least 1.
        batch_size: faces per batch; fewer where there are not that many.

    Yields:
        int64 (B,) indices of faces, bool (B,) whether they are mirrored.
    """
    draws = keyed_generator(f"{seed}/{run}/{epoch}")
    order = draws.permutation(n_faces)  # (n_faces,)
    flips = draws.integers(0, 2, n_faces, np.uint8).astype(bool)  # (n_faces,)
    for step in range(steps_per_epoch(n_faces, batch_size)):
        here = slice(step * batch_size, (step + 1) * batch_size)
        yield order[here], flips[here]


def in_order(
    n_faces: int, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """All faces once, as they lie, none mirrored; the last batch may be smaller."""
    for start in range(0, n_faces, batch_size):
        faces = np.arange(start, min(start + batch_size, n_faces))
        yield faces, np.zeros(len(faces), bool)


def keyed_generator(key: str) -> np.random.Generator:
    """Counter-based random numbers that are a function of a text alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))


def _joined(indexes: Sequence[tuple[Shards, pa.Table]], column: str) -> NDArray[np.int64]:
    parts = [index.column(column).to_numpy().astype(np.int64) for _, index in indexes]
    return np.concatenate(parts)  # (n,)


def _vectors(indexes: Sequence[pa.Table]) -> NDArray[np.int8]:
    """(n, nodes) of the column ``vector``."""
    flat = [index.column("vector").combine_chunks() for index in indexes if index.num_rows]
    lengths = {int(n) for some in flat for n in some.value_lengths().unique().to_pylist()}
    if len(lengths) > 1:
        raise UserError(
            f"The shards hold label vectors of {sorted(lengths)} values, so of different graphs. "
            "Make them anew with `dvc repro shard`."
        )
    if not lengths:
        return np.empty((0, 0), np.int8)
    values = [some.flatten().to_numpy(zero_copy_only=False) for some in flat]
    return np.concatenate(values).astype(np.int8).reshape(-1, lengths.pop())
