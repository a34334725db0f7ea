"""Some fakes of a shard folder, and where a run looks in them (SJEDD, figure 7)."""

import functools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from faceshards.images import encode_jpeg
from faceshards.reading import Shards
from faceshards.samples import Samples
from pipeline.models import Classifier
from pipeline.models.relevance import relevance
from pipeline.prediction.picture import strip
from pipeline.training.data import normalised

FACES = 8
"""On a sheet."""

_QUALITY = 85
_BY_KIND = [("dataset", "ascending"), ("method", "ascending")]


def sheet(model: Classifier, shards: Shards, device: torch.device) -> bytes:
    """A JPEG of fakes, below each the same under its Grad-CAM map; b"" where there are none.

    They come in turn from every dataset and method, and are the same for every run.

    Args:
        model: in evaluation mode, on the device.
        shards: of the split test.
        device: where the model runs.
    """
    places = chosen(shards.index)
    if not places:
        return b""
    samples = Samples([shards.folder], size_px=model.image_px)
    faces = np.empty((len(places), model.image_px, model.image_px, 3), np.uint8)
    for face, place in zip(faces, places, strict=True):
        samples.decode_into(place, face)
    maps = relevance(model, normalised(torch.from_numpy(faces).to(device), model.mean, model.std))
    return encode_jpeg(strip(list(faces), [None] * len(faces), (), maps), _QUALITY, "4:4:4")


def chosen(index: pa.Table) -> list[int]:
    """Places of at most :data:`FACES` fakes of a shard index, in turn from every kind of them.

    Of each dataset and method those that come first: shards are in the order of a hash of their
    samples, so that any first ones are a fair choice.
    """
    is_fake = pc.equal(index.column("label"), 1)
    kinds = index.filter(is_fake).group_by(["dataset", "method"]).aggregate([])
    queues = []
    for kind in kinds.sort_by(_BY_KIND).to_pylist():
        mine = [pc.equal(index.column(name), value) for name, value in kind.items()]
        of_kind = functools.reduce(pc.and_, mine, is_fake).to_numpy()  # (n,)
        queues.append(np.flatnonzero(of_kind)[:FACES].tolist())
    turns = max(map(len, queues), default=0)
    found = [queue[turn] for turn in range(turns) for queue in queues if turn < len(queue)]
    return found[:FACES]
