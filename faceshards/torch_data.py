"""The same batches through PyTorch's own ``DataLoader``.

For trainers that are built around it. :class:`faceshards.Loader` is faster, since images need not
travel between processes.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from faceshards.loader import Batch, Loader
from faceshards.samples import Samples


class FaceDataset(Dataset[dict[str, Any]]):
    """Samples one by one: a mapping with the fields of :class:`faceshards.loader.Batch`.

    ``images`` is uint8 (side, side, 3) RGB, ``labels`` an int, ``vectors`` int8 (nodes,) and
    ``places`` an int; ``landmarks`` float32 (68, 2) where the samples are read with them. PyTorch's
    default collation makes batches of them.
    """

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> dict[str, Any]:
        """Decodes one sample. Raises UserError as :meth:`Samples.decode_into`."""
        image = np.empty((self.samples.side_px, self.samples.side_px, 3), np.uint8)
        self.samples.decode_into(place, image)
        found = {
            "images": torch.from_numpy(image),  # (side, side, 3)
            "labels": int(self.samples.labels[place]),
            "vectors": torch.from_numpy(self.samples.vectors[place]),  # (nodes,)
            "places": place,
        }
        if self.samples.with_landmarks:
            found["landmarks"] = torch.from_numpy(self.samples.landmarks(place))  # (68, 2)
        return found


class OrderSampler(Sampler[list[int]]):
    """The places of a loader's batches, for ``DataLoader(batch_sampler=...)``.

    Args:
        loader: gives order, seed and rank. It decodes nothing itself.
    """

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.epoch = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch, as PyTorch's distributed sampler does."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        for number in range(len(self.loader)):
            yield self.loader.places(self.epoch, number).tolist()


def tensors(batch: Batch) -> dict[str, torch.Tensor]:
    """A loader's batch as tensors that share its memory, named as :class:`FaceDataset` does."""
    found = {
        "images": torch.from_numpy(batch.images),  # (B, side, side, 3)
        "labels": torch.from_numpy(batch.labels),  # (B,)
        "vectors": torch.from_numpy(batch.vectors),  # (B, nodes)
        "places": torch.from_numpy(batch.places.copy()),  # (B,)
    }
    if batch.landmarks is not None:
        found["landmarks"] = torch.from_numpy(batch.landmarks)  # (B, 68, 2)
    return found
