"""Crops and region swaps out of shard folders, as small pictures that a page carries in itself.

What is shown is chosen by a hash of the samples' ids, so the same shards always give the same
pictures, and their number has a bound however large the dataset is.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards import fields, images, keys, tar
from faceshards.reading import folder_facts
from pipeline import tables
from pipeline.errors import UserError
from pipeline.labels.semantics import REAL

SIDE_PX = 128
"""Of a picture in the page."""
JPEG_QUALITY = 82
MAX_FACES = 320
"""On all contact sheets together: about 2 MB of page."""
MAX_SWAPS = 40
"""Over all datasets and regions: about 1 MB of page."""

_WHERE = ("sample_id", "dataset", "method", "tar", "jpg_offset", "jpg_size")


class DataUri(str):
    """A picture in an address of its own; "" for none."""

    __slots__ = ()


@dataclass(frozen=True)
class ShownCrop:
    """One face of a contact sheet; ``uri`` is its picture."""

    uri: DataUri
    face_id: str
    method: str
    split: str
    label: int
    """0 real, 1 fake."""


@dataclass(frozen=True)
class Sheet:
    """The contact sheet of one dataset."""

    dataset: str
    crops: tuple[ShownCrop, ...]
    of: int
    """Faces of the dataset in the shards."""


@dataclass(frozen=True)
class ShownSwap:
    """One region swap: a real face, the face a region came from, where, and what came out."""

    target: DataUri
    source: DataUri
    """Of these two "" where the train shards lack the face."""
    mask: DataUri
    result: DataUri
    sample_id: str
    source_method: str
    distance: float
    """Between the landmarks of the two faces, in crop pixels."""


@dataclass(frozen=True)
class Region:
    """Some swaps of one region in one dataset, and the labels that they all have."""

    dataset: str
    method: str
    region: str
    labels: Mapping[str, Sequence[str]]
    """Names of the label graph's nodes that are ``altered``, ``not altered``, ``unobserved``."""
    swaps: tuple[ShownSwap, ...]
    of: int
    """Swaps of this region in the shards."""

    @property
    def distances(self) -> str:
        """Between the landmarks of target and source, in the order of the swaps."""
        return ", ".join(f"{swap.distance:.0f}" for swap in self.swaps) + " px"


def contact_sheets(shards: Path, per_dataset: int) -> list[Sheet]:
    """One sheet per dataset that has samples, sorted by name; its methods take turns, reals first.

    Args:
        shards: holds the folders ``train``, ``val`` and ``test``.
        per_dataset: faces per sheet; fewer where all together would exceed :data:`MAX_FACES`.

    Raises:
        UserError: a shard folder is absent or damaged.
    """
    wanted = [*_WHERE, "split", "label"]
    index = pa.concat_tables(
        tables.read(shards / split / "index.parquet", "index", wanted) for split in fields.SPLITS
    )
    datasets = sorted(index.column("dataset").unique().to_pylist())
    n = min(per_dataset, MAX_FACES // max(1, len(datasets)))
    sheets = []
    for dataset in datasets:
        mine = index.filter(pc.field("dataset") == dataset)
        crops = tuple(_crop(shards / row["split"], row) for row in _in_turns(mine, n))
        sheets.append(Sheet(dataset, crops, mine.num_rows))
    return sheets


def regions(shards: Path, per_region: int) -> list[Region]:
    """Some swaps of every dataset and region, by dataset and method.

    Args:
        shards: holds the folders ``train`` and ``expanded``.
        per_region: swaps of each; fewer where all together would exceed :data:`MAX_SWAPS`.

    Raises:
        UserError: a shard folder is absent or damaged.
    """
    folder = shards / fields.EXPANDED
    about = ["region", "face_id", "source_face_id", "source_method", "distance"]
    about += ["graph", "vector", "mask_png_offset", "mask_png_size"]
    index = tables.read(folder / "index.parquet", "index_expanded", [*_WHERE, *about])
    groups = index.group_by(["dataset", "method"]).aggregate([]).to_pylist()
    n = min(per_region, MAX_SWAPS // max(1, len(groups)))
    parts = []
    for dataset, method in sorted((row["dataset"], row["method"]) for row in groups):
        mine = index.filter((pc.field("dataset") == dataset) & (pc.field("method") == method))
        parts.append((mine.take(_by_hash(mine)[: max(1, n)]).to_pylist(), mine.num_rows))
    rows = [row for chosen, _ in parts for row in chosen[:n]]
    faces = {row[name] for row in rows for name in ("face_id", "source_face_id")}
    photos = _train_photos(shards / "train", faces)
    graphs = folder_facts(folder)["graphs"]
    return [
        Region(
            **{name: chosen[0][name] for name in ("dataset", "method", "region")},
            labels=in_words(graphs[chosen[0]["graph"]]["nodes"], chosen[0]["vector"]),
            swaps=tuple(_swap(folder, row, photos) for row in chosen[:n]),
            of=of,
        )
        for chosen, of in parts
    ]


def in_words(nodes: Sequence[str], vector: Sequence[int]) -> dict[str, list[str]]:
    """Nodes that are altered (1), not altered (0) and unobserved (-1), in the graph's order."""
    values = {"altered": 1, "not altered": 0, "unobserved": -1}
    return {
        word: [n.replace("_", " ") for n, v in zip(nodes, vector, strict=True) if v == value]
        for word, value in values.items()
    }


def _in_turns(index: pa.Table, n: int) -> list[dict[str, Any]]:
    """Up to ``n`` rows: methods take turns, reals first; each gives its rows in order of hash."""
    methods = index.column("method").unique().to_pylist()
    methods.sort(key=lambda method: (method != REAL, method))
    ranked = [index.filter(pc.field("method") == method) for method in methods]
    ranked = [mine.take(_by_hash(mine)[:n]) for mine in ranked]
    turns = sorted(
        (turn, place) for place, mine in enumerate(ranked) for turn in range(mine.num_rows)
    )
    chosen = sorted((place, turn) for turn, place in turns[:n])
    return [row for place, turn in chosen for row in ranked[place].slice(turn, 1).to_pylist()]


def _by_hash(index: pa.Table) -> NDArray[np.intp]:
    """Places of the rows in order of their ids' hashes; int (rows,)."""
    ids = (name for chunk in index.column("sample_id").chunks for name in chunk.to_pylist())
    hashes = np.fromiter((keys.hash64(name) for name in ids), np.uint64, index.num_rows)
    return np.argsort(hashes, kind="stable")


def _train_photos(folder: Path, faces: Iterable[str]) -> dict[str, DataUri]:
    index = tables.read(folder / "index.parquet", "index", list(_WHERE))
    found = index.filter(pc.is_in(index.column("sample_id"), pa.array(sorted(faces), pa.string())))
    return {row["sample_id"]: _photo(folder, row) for row in found.to_pylist()}


def _crop(folder: Path, row: Mapping[str, Any]) -> ShownCrop:
    uri = _photo(folder, row)
    return ShownCrop(uri, row["sample_id"], row["method"], row["split"], row["label"])


def _swap(folder: Path, row: Mapping[str, Any], photos: Mapping[str, DataUri]) -> ShownSwap:
    return ShownSwap(
        target=photos.get(row["face_id"], DataUri()),
        source=photos.get(row["source_face_id"], DataUri()),
        mask=_mask(folder, row),
        result=_photo(folder, row),
        **{name: row[name] for name in ("sample_id", "source_method", "distance")},
    )


def _photo(folder: Path, row: Mapping[str, Any]) -> DataUri:
    try:
        image = images.decode_rgb(tar.read(folder / row["tar"], row["jpg_offset"], row["jpg_size"]))
    except (OSError, ValueError) as error:
        raise _damaged(folder, row, error) from error
    small = np.asarray(_small(image), np.uint8)
    return _uri("jpeg", images.encode_jpeg(small, JPEG_QUALITY, "4:2:0"))


def _mask(folder: Path, row: Mapping[str, Any]) -> DataUri:
    at = (row["mask_png_offset"], row["mask_png_size"])
    try:
        image = images.decode_grey(tar.read(folder / row["tar"], *at))
    except (OSError, ValueError) as error:
        raise _damaged(folder, row, error) from error
    return _uri("png", images.encode_png(_small(image)))


def _damaged(folder: Path, row: Mapping[str, Any], error: Exception) -> UserError:
    return UserError(
        f"{row['sample_id']} cannot be read from {folder / row['tar']} ({error}). Check the folder "
        f"with `faceshards verify {folder}`, or make it anew with `dvc repro shard`."
    )


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    side = (SIDE_PX, SIDE_PX)
    return np.asarray(cv2.resize(image, side, interpolation=cv2.INTER_AREA), np.uint8)


def _uri(kind: str, data: bytes) -> DataUri:
    return DataUri(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
