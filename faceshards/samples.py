"""Samples of shard folders on a local or fast disk, one by one, by the offsets of the index.

No tar is parsed. Tars are read and not mapped into memory, since a tar that is cut while it is
mapped ends the process; reading costs no measurable time beside decoding. Some 40 bytes per sample
are held in memory.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from faceshards.errors import UserError
from faceshards.filters import ByPlace, Filter, Places
from faceshards.images import Image
from faceshards.reading import content_digest, folder_facts, parse_json, read_index
from faceshards.tar import OpenTar

MOST_OPEN_TARS = 256
"""Systems allow a process 1024 open files, or more."""
_COLUMNS = ("tar", "jpg_offset", "jpg_size", "label", "vector")
_JSON = ("json_offset", "json_size")
POINTS = 68
"""Landmarks of a face."""


class Samples:
    """Samples of one or more shard folders, one folder after the other, ordered as their indexes.

    Args:
        folders: shard folders whose vectors follow the same graph.
        where: which samples are read.
        size_px: side of the images that come out; 0 = as they are stored, all alike.
        columns: further columns of the index to hold in memory, see :attr:`table`.
        landmarks: whether batches bring the 68 points of the samples' json.

    Raises:
        UserError: a folder is none, is damaged, or follows another graph than the others; a filter
            names what does not occur.
    """

    def __init__(
        self,
        folders: Sequence[Path | str],
        where: Filter | ByPlace | None = None,
        size_px: int = 0,
        columns: Sequence[str] = (),
        landmarks: bool = False,
    ) -> None:
        self._folders = [Path(folder) for folder in folders]
        where = where or Filter()
        facts = [folder_facts(folder) for folder in self._folders]
        self.graph = one_graph(self._folders, facts)
        """Nodes of the label graph that vectors follow, in their order; () for folders without."""
        of_json = _JSON if landmarks else ()
        wanted = tuple(dict.fromkeys([*_COLUMNS, *of_json, *where.columns, *columns]))
        index = pa.concat_tables(
            read_index(folder, fact["name"], wanted)
            for folder, fact in zip(self._folders, facts, strict=True)
        )
        lengths = [fact["samples"] for fact in facts]
        passing = where.places(index)
        kept = index.take(pa.array(passing))
        self.digest = content_digest(facts)
        """Names the content of the folders: hexadecimal, the same wherever they lie."""
        self.key = f"{self.digest}/{where}"
        """Names these samples: the folders' content and the filter."""
        self.table = kept.select(list(columns))
        """The further columns, one row per sample."""
        self.labels = kept.column("label").to_numpy().astype(np.int8)
        """int8 (n,)."""
        self.vectors = vector_rows(kept.column("vector"), len(self.graph))
        """int8 (n, nodes)."""
        self._tars, self._tar_numbers = _tars(self._folders, lengths, passing, kept.column("tar"))
        self._offsets = kept.column("jpg_offset").to_numpy().astype(np.int64)
        self._sizes = kept.column("jpg_size").to_numpy().astype(np.int32)
        self._json = [kept.column(name).to_numpy().astype(np.int64) for name in of_json]
        self._open: dict[int, OpenTar] = {}
        self._opening = threading.Lock()
        self._stored_px = self._stored_side_px() if len(self) else 0
        self.side_px = size_px or self._stored_px
        """Side of the images that come out."""
        self._scaled = self.side_px != self._stored_px

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, object]:
        """What another process needs: it opens the tars anew."""
        return {k: v for k, v in self.__dict__.items() if k not in ("_open", "_opening")}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _open={}, _opening=threading.Lock())

    @property
    def with_landmarks(self) -> bool:
        """Whether batches bring landmarks."""
        return bool(self._json)

    def landmarks(self, place: int) -> NDArray[np.float32]:
        """The points of a sample, float32 (68, 2), as :attr:`Batch.landmarks`; all NaN for none.

        Raises UserError where its json is damaged. The samples must be read with landmarks.
        """
        offset, size = (int(column[place]) for column in self._json)
        try:
            told = parse_json(self._stored(place, offset, size))["landmarks"]
            points = np.array(told or [np.nan] * 2 * POINTS, np.float64).reshape(POINTS, 2)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(place, f"its json has no landmarks ({error})") from error
        if self._scaled:
            points = (points + 0.5) * (self.side_px / self._stored_px) - 0.5
        return points.astype(np.float32)

    def jpeg(self, place: int) -> bytes:
        """The stored JPEG of a sample. Raises UserError where its tar does not hold it."""
        return self._stored(place, int(self._offsets[place]), int(self._sizes[place]))

    def _stored(self, place: int, start: int, size: int) -> bytes:
        """Some bytes of the tar of a sample."""
        try:
            tar = self._tar(int(self._tar_numbers[place]))
            return tar.read(start, size)
        except (OSError, ValueError) as error:
            raise self._damaged(place, str(error)) from error

    def decode_into(self, place: int, out: NDArray[np.uint8]) -> None:
        """Decodes a sample into ``out``, uint8 (side, side, 3), RGB.

        Raises UserError where the image is damaged, naming its tar and key.
        """
        data = self.jpeg(place)
        try:
            decode_jpeg_into(data, out, self._scaled)
        except ValueError as error:
            raise self._damaged(place, str(error)) from error

    def _tar(self, number: int) -> OpenTar:
        found = self._open.get(number)
        if found is not None:
            return found
        with self._opening:
            if number not in self._open:
                if len(self._open) >= MOST_OPEN_TARS:
                    # It stays open until the threads that read from it are done.
                    self._open.pop(next(iter(self._open)))
                self._open[number] = OpenTar(self._tars[number])
            return self._open[number]

    def _stored_side_px(self) -> int:
        try:
            height, width, _, _ = simplejpeg.decode_jpeg_header(self.jpeg(0))
        except ValueError as error:
            raise self._damaged(0, str(error)) from error
        if height != width:
            raise UserError(f"{self._name(0)} is of {width} x {height} px, which is no square.")
        return int(height)

    def _damaged(self, place: int, what: str) -> UserError:
        return UserError(
            f"{self._name(place)} cannot be read: {what}. Look at the folder with "
            "`faceshards verify`, and make the shards anew with `dvc repro shard`."
        )

    def _name(self, place: int) -> str:
        """Tar and key of a sample, looked up in the index, since keys are not held in memory."""
        path = self._tars[int(self._tar_numbers[place])]
        name = folder_facts(path.parent)["name"]
        index = read_index(path.parent, name, ("key", "tar", "jpg_offset"))
        rows = zip(*(column.to_pylist() for column in index.columns), strict=True)
        there = (path.name, int(self._offsets[place]))
        key = next((key for key, tar, offset in rows if (tar, offset) == there), "?")
        return f"{path}: sample {key}"


def decode_jpeg_into(data: bytes, out: NDArray[np.uint8], scaled: bool) -> None:
    """Decodes a JPEG into ``out``, uint8 (side, side, 3) RGB; ``scaled``: to this size.

    Raises ValueError where it is damaged, or of another size and not to be scaled.
    """
    if scaled:
        out[:] = resized(simplejpeg.decode_jpeg(data, "RGB"), out.shape[0])
    elif simplejpeg.decode_jpeg(data, "RGB", buffer=out).shape != out.shape:
        raise ValueError(f"it is no image of {out.shape[1]} x {out.shape[0]} px")


def resized(image: Image, side_px: int) -> Image:
    """Square image of ``side_px``: by area where it shrinks, else bicubic."""
    shrinks = min(image.shape[:2]) > side_px
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (side_px, side_px), interpolation=how), np.uint8)


def one_graph(folders: Sequence[Path], facts: Sequence[dict[str, object]]) -> tuple[str, ...]:
    """Nodes of the one graph that folders with samples follow."""
    found = {}
    for folder, fact in zip(folders, facts, strict=True):
        graphs = cast(dict[str, Any], fact["graphs"])  # as folder_facts has checked
        if fact["samples"]:
            name = fact.get("graph")
            found[folder] = {name: tuple(graphs[name]["nodes"]) if name in graphs else ()}
    kinds = list(found.values())
    if not kinds:
        return ()
    if any(kind != kinds[0] for kind in kinds):
        raise UserError(
            f"The shard folders {', '.join(map(str, found))} follow different label graphs. "
            "Make them anew with `dvc repro shard`."
        )
    return next(iter(kinds[0].values()))


def vector_rows(column: pa.ChunkedArray, n_nodes: int) -> NDArray[np.int8]:
    """int8 (n, nodes). Raises UserError where vectors differ in length."""
    flat = column.combine_chunks()
    lengths = set(flat.value_lengths().unique().to_pylist())
    if len(lengths) > 1:
        raise UserError(f"Label vectors of {sorted(lengths)} values are in one set of samples.")
    values = np.asarray(flat.flatten().to_numpy(zero_copy_only=False), np.int8)
    return values.reshape(len(column), lengths.pop() if lengths else n_nodes)


def _tars(
    folders: Sequence[Path],
    lengths: Sequence[int],
    passing: Places,
    names: pa.ChunkedArray,
) -> tuple[list[Path], NDArray[np.int32]]:
    """Paths of all tars, and the number (n,) of each sample's."""
    ends = np.cumsum(lengths)
    folder = np.searchsorted(ends, passing, side="right")  # (n,)
    encoded = names.combine_chunks().dictionary_encode()
    codes, texts = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    pairs, numbers = np.unique(folder * max(1, len(texts)) + codes, return_inverse=True)
    paths = [folders[p // len(texts)] / texts[p % len(texts)] for p in pairs.tolist()]
    return paths, numbers.astype(np.int32)
