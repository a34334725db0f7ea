"""Shard folders at a url (``http(s)``, ``s3`` through fsspec), or on a disk that only streams well.

Needs ``pip install 'faceshards[streaming]'``, and for ``s3`` the package s3fs besides. Whoever runs
the server need not be trusted: only tars that the folder's own ``shards.json`` lists are asked for,
no more bytes are read than it says, and what has another SHA-256 is an error.
"""

import hashlib
import io
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from webdataset import tariterators

from faceshards import tar
from faceshards.errors import UserError
from faceshards.filters import Filter
from faceshards.order import Places
from faceshards.reading import (
    MAX_SHARDS_JSON_BYTES,
    content_digest,
    folder_facts,
    group,
    read_index,
)
from faceshards.samples import one_graph, vector_rows

SCHEMES = ("http", "https", "s3", "file")
ATTEMPTS = 3
"""How often a file is asked for before it counts as unreadable."""
WAIT_S = 1.0
"""Before the second attempt; twice as long before the third."""
_COLUMNS = ("key", "tar", "label", "vector")
_CHUNK_BYTES = 1 << 20


class RemoteSamples:
    """Samples of shard folders at urls, ordered as those of :class:`faceshards.samples.Samples`.

    ``shards.json`` and ``index.parquet`` of each folder are fetched at once and held, about 100
    bytes per sample; tars when they are read.

    Args:
        urls: folders with ``http://``, ``https://``, ``s3://`` or ``file://``, or local paths.
        where: which samples are read.
        size_px: side of the images that come out; 0 = as they are stored, all alike.
        options: passed to fsspec, such as ``{"anon": True}`` or ``{"endpoint_url": ...}``.

    Raises:
        UserError: a url is of another kind or cannot be read, a folder is damaged or follows
            another graph than the others, or a filter names what does not occur.
    """

    def __init__(
        self,
        urls: Sequence[str | Path],
        where: Filter | None = None,
        size_px: int = 0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._options = dict(options or {})
        self.size_px = size_px
        where = where or Filter()
        bases = [_checked(str(url)) for url in urls]
        wanted = tuple(dict.fromkeys([*_COLUMNS, *where.columns]))
        facts, tables = [], []
        for base in bases:
            with tempfile.TemporaryDirectory() as name:
                fact = self._describe(base, Path(name))
                facts.append(fact)
                tables.append(read_index(Path(name), fact["name"], wanted))
                _check_agree(base, tables[-1], fact)
        self.graph = one_graph([Path(base) for base in bases], facts)
        """Nodes of the label graph that vectors follow, in their order."""
        index = pa.concat_tables(tables)
        passing = where.places(index)
        kept = index.take(pa.array(passing))
        self.digest = content_digest(facts)
        """Names the content of the folders, wherever they lie."""
        self.key = f"{self.digest}/{where}"
        """Names these samples: the folders' content and the filter."""
        self.labels = kept.column("label").to_numpy().astype(np.int8)
        """int8 (n,)."""
        self.vectors = vector_rows(kept.column("vector"), len(self.graph))
        """int8 (n, nodes)."""
        self._keys = kept.column("key")
        self._urls: list[str] = []
        self._about: list[dict[str, Any]] = []
        self.sources: list[range] = []
        """Numbers of the tars of each url."""
        for base, fact in zip(bases, facts, strict=True):
            names = sorted(fact["tars"])
            self.sources.append(range(len(self._urls), len(self._urls) + len(names)))
            self._urls += [f"{base}/{name}" for name in names]
            self._about += [fact["tars"][name] for name in names]
        ends = np.cumsum([0, *(about["samples"] for about in self._about)])
        self.starts = np.searchsorted(passing, ends).astype(np.int64)
        """int64 (tars + 1,): place of the first sample of each tar, and the end."""
        of_tar = np.repeat(np.arange(len(self._urls)), np.diff(self.starts))
        self._in_tar = (passing - ends[of_tar]).astype(np.int32)  # (n,)

    def __len__(self) -> int:
        return len(self.labels)

    def jpegs(self, number: int, places: Places) -> Iterator[tuple[int, bytes]]:
        """Place and JPEG of some samples of a tar, as they lie there.

        Raises UserError, with the url and where it can the key, for a tar that cannot be read, is
        not the one that shards.json lists, or does not hold what the index says.
        """
        url, about = self._urls[number], self._about[number]
        data = fetch(url, about["bytes"], self._options)
        check_digest(url, data, about)
        wanted = {int(self._in_tar[place]): place for place in places.tolist()}
        try:
            # Nothing but plain members, as our own reader has it, before anybody else parses them.
            for _ in group(tar.walk_open(io.BytesIO(data), url)):
                pass
            files = tariterators.tar_file_expander([{"url": url, "stream": io.BytesIO(data)}])
            for rank, sample in enumerate(tariterators.group_by_keys(files)):
                place = wanted.pop(rank, None)
                if place is None:
                    continue
                key = self._keys[place].as_py()
                if sample["__key__"] != key or "jpg" not in sample:
                    raise ValueError(f"sample {key} is not where the index says")
                yield place, sample["jpg"]
        except ValueError as error:
            raise UserError(f"{url} is damaged: {error}.") from error
        if wanted:
            key = self._keys[min(wanted.values())].as_py()
            raise UserError(f"{url} is damaged: sample {key} is not in it.")

    def name(self, place: int) -> str:
        """Url of the tar and key of a sample."""
        number = int(np.searchsorted(self.starts, place, side="right")) - 1
        return f"{self._urls[number]}: sample {self._keys[place].as_py()}"

    def _describe(self, base: str, folder: Path) -> dict[str, Any]:
        """Fetches what describes a folder into another one; gives its facts, checked."""
        data = fetch(f"{base}/shards.json", MAX_SHARDS_JSON_BYTES, self._options)
        (folder / "shards.json").write_bytes(data)
        try:
            facts = folder_facts(folder)
        except UserError as error:
            raise UserError(str(error).replace(str(folder), base)) from error
        url, about = f"{base}/index.parquet", facts.get("index")
        if not isinstance(about, dict) or type(about.get("bytes")) is not int:
            raise UserError(f"{base}/shards.json has no digest of index.parquet.")
        index = fetch(url, about["bytes"], self._options)
        check_digest(url, index, about)
        (folder / "index.parquet").write_bytes(index)
        return facts


def fetch(url: str, most_bytes: int, options: Mapping[str, Any]) -> bytes:
    """What lies at a url, and never more than ``most_bytes`` of it.

    Raises UserError where it cannot be read in :data:`ATTEMPTS` attempts, is larger, or needs a
    package that is not installed.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(WAIT_S * attempt)
        try:
            return _read(url, most_bytes, options)
        except UserError:
            raise
        except ImportError as error:
            raise UserError(f"{url} cannot be read: {error}.") from error
        except FileNotFoundError as error:
            raise UserError(f"{url} does not exist.") from error
        except Exception as error:  # each protocol's library has errors of its own
            last = error
    raise UserError(f"{url} cannot be read: {last or type(last).__name__}.") from last


def check_digest(url: str, data: bytes, about: Mapping[str, Any]) -> None:
    """Raises UserError where some bytes are not those that shards.json lists."""
    if len(data) != about["bytes"]:
        raise UserError(f"{url} has {len(data)} bytes, shards.json says {about['bytes']}.")
    if hashlib.sha256(data).hexdigest() != about.get("sha256"):
        raise UserError(f"{url} is damaged: its sha256 is not the one in shards.json.")


def _checked(url: str) -> str:
    """The url without a slash at its end. Raises UserError for a kind that is not read."""
    scheme = url.partition("://")[0] if "://" in url else "file"
    # fsspec chains protocols with two colons, and webdataset runs what follows `pipe:`.
    if scheme not in SCHEMES or "::" in url or url.startswith("pipe:"):
        raise UserError(f"{url!r} is not read; a url begins with one of {', '.join(SCHEMES)}.")
    return url.rstrip("/")


def _check_agree(base: str, index: pa.Table, facts: Mapping[str, Any]) -> None:
    """Raises UserError where the index does not hold the tars of shards.json in their order."""
    runs = pc.run_end_encode(index.column("tar").combine_chunks())
    counts = np.diff(runs.run_ends.to_numpy(), prepend=0).tolist()
    listed = [(n, a["samples"]) for n, a in sorted(facts["tars"].items()) if a["samples"]]
    if list(zip(runs.values.to_pylist(), counts, strict=True)) != listed:
        raise UserError(f"{base}: index.parquet and shards.json name other tars or samples.")


def _read(url: str, most_bytes: int, options: Mapping[str, Any]) -> bytes:
    files, path = fsspec.core.url_to_fs(url, **options)
    # Without blocks, a server that knows no ranges is read as well. Where a size is given, fsspec
    # does not ask for it, and tells a server that cannot be reached from a file that is not there.
    how = {"block_size": 0, "size": most_bytes} if url.startswith("http") else {}
    found = bytearray()
    with files.open(path, "rb", **how) as file:
        while part := file.read(min(_CHUNK_BYTES, most_bytes + 1 - len(found))):
            found += part
            if len(found) > most_bytes:
                raise UserError(f"{url} is larger than {most_bytes} bytes, which it should have.")
    return bytes(found)
