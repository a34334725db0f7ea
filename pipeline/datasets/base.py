"""The registry of adapters, and what an adapter and ``scan`` say to each other.

An adapter knows one layout on disk. It is a module of this package with a constant ``ADAPTER``;
adding a module is all it takes to add one. It yields one :class:`Video` or :class:`Rejected` per
file, in any order; :mod:`pipeline.datasets.scan` looks at the files and makes the rows, alike for
all adapters.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from faceshards import keys
from faceshards.wording import suggestion
from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import DatasetsParams
from pipeline.errors import Reject, UserError

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".3gp",
        ".mkv",
        ".webm",
        ".avi",
        ".gif",
        ".flv",
        ".ogv",
        ".wmv",
        ".asf",
    }
    | {".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
)
"""A file counts as a video by its suffix, in any case; ``frames`` checks what is inside."""

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
"""A file counts as a picture by its suffix, in any case."""

REAL_METHOD = "real"
OUTSIDE = "outside"


@dataclass(frozen=True)
class Option:
    """One key that an adapter takes in datasets.yaml besides ``adapter`` and ``root``."""

    meaning: str
    default: str | None = None
    """None: must be given."""
    among: tuple[str, ...] = ()
    """Allowed values; () = any text."""


COMMON_OPTIONS = {
    OUTSIDE: Option(
        "what lies outside the labelled parts of fakes: left out, or real",
        "exclude",
        ("exclude", "real"),
    ),
}
"""Keys that every adapter takes; :mod:`pipeline.datasets.outside` follows this one."""


@dataclass(frozen=True)
class Source:
    """One dataset as its adapter sees it: existing roots, and options checked and completed."""

    name: str
    roots: tuple[Path, ...]
    """Absolute, with links as they are."""
    options: Mapping[str, str]
    params: DatasetsParams = field(default_factory=DatasetsParams)

    def path(self, root_index: int, relative: str) -> str:
        """A file's ``path`` column; with several roots it starts with the root's index."""
        return f"{root_index}/{relative}" if len(self.roots) > 1 else relative

    def unique(self, text: str) -> str:
        """An id of this dataset made unique over all datasets: ``ffpp:000``; "" stays "".

        One that has a colon already is kept, so that datasets can share people on purpose.
        """
        return text if not text or ":" in text else f"{self.name}:{text}"

    def own_name(self, method: str, text: str) -> str:
        """What an id that a list states adds to dataset and method; "" stays "".

        A whole id, ``<dataset>/<method>/<name>``, is one too, so that what was exported comes back.

        Raises Reject where it is no plain path.
        """
        name = text.removeprefix(keys.video_id(self.name, method, ""))
        if text and ("\0" in name or any(p in ("", ".", "..") for p in name.split("/"))):
            raise Reject("inconsistent", f"the id {text!r} is not of names with slashes between")
        return name


@dataclass(frozen=True)
class Reference:
    """Another film of the same pictures, by which one sees what was altered in a fake."""

    file: Path | str
    path: str
    """As :attr:`Video.path`."""


@dataclass(slots=True)
class Video:
    """What an adapter says about one row. The fields are those of the table ``videos``.

    Never changed once made. It is not frozen only since that takes three times as long to make.
    """

    file: Path | str
    """The video or picture; the folder of pictures; the tar. Texts are made faster than paths."""
    path: str
    """Below the root, with the root's index where there are several (:meth:`Source.path`)."""
    split: str
    label: int
    method: str = REAL_METHOD
    category: str = ""
    """"" = as manifests/semantics.yaml has it for the method; so is ``subtype``."""
    subtype: str = ""
    audio_fake: int = -1
    identity: str = ""
    target_id: str = ""
    source_id: str = ""
    pair_id: str = ""
    leak_group: str = ""
    compression: str = ""
    segments_s: tuple[float, ...] = ()
    media: str = "video"
    """``image``: a picture; ``frames``: a folder of pictures of one video; ``tar``: such a folder
    inside a tar, with ``path`` = ``<tar>!<folder inside>`` and ``file`` = the tar; ``tar_image``: a
    picture inside a tar; ``parquet``: a picture in a row of a Parquet file, with ``path`` =
    ``<file>!<column>/<row group>/<row in it>``."""
    real_of: tuple[str, ...] = ()
    """Of a real: the methods whose fakes it belongs to, where it does not belong to all of the
    dataset. It is left out with them (:mod:`pipeline.datasets.roles`)."""
    aligned: bool = False
    """A fake whose pictures are those of the real row of its ``pair_id``, one by one, but for what
    was altered: ``scan`` takes that row for ``pair``."""
    pair: Reference | None = None
    """The pristine film of the same pictures that a fake was made of; ``scan`` looks whether it is
    there. A folder of pictures where the fake is one."""
    mask: Reference | None = None
    """A film that is bright where the fake is altered; likewise."""
    outside: int = 0
    """1: the row is what lies outside of its labelled parts; set by ``scan``, not by adapters."""
    segments_frames: tuple[int, ...] = ()
    """Labelled parts where a dataset counts them in frames: start, end, start, end …, 0-based, ends
    excluded. The stage ``frames`` looks up when they are shown."""
    size_bytes: int = -1
    """Of a picture that is in a file with others; -1 = that of the file."""
    name: str = ""
    """Of its id, where a list states one (:meth:`Source.own_name`); "" = its path."""


@dataclass(frozen=True)
class Rejected:
    """A file that cannot be used, or is not there; ``reason`` is a key of schemas.REJECT_REASONS.

    Its id in the reject table is ``<dataset>/<path>``, suffix included: a file that is no video has
    no video id.
    """

    path: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Total:
    """How many rows of one kind a full copy gives."""

    count: int
    kind: Mapping[str, str | int] = field(default_factory=dict)
    """Values of columns of ``videos`` that these rows share: ``{"split": "train", "label": 0}``."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Options under which it holds, such as ``{"version": "v2"}``."""
    path: str = ""
    """Regular expression that is found in their ``path``."""
    note: str = ""
    """What explains a difference that is known."""
    real_of: tuple[str, ...] = ()
    """As :attr:`Video.real_of` of these rows."""


@dataclass(frozen=True)
class Adapter:
    """One layout on disk."""

    name: str
    expects: str
    """What it looks for below a root, as the end of the sentence "it expects …"."""
    read: Callable[[Source], Iterable[Video | Rejected]]
    """Raises UserError where a root is not of this layout (see :func:`wrong_root`)."""
    options: Mapping[str, Option] = field(default_factory=dict)
    title: str = ""
    """The dataset as its authors call it."""
    licence: str = ""
    access: str = ""
    """Where to apply for it."""
    expected: tuple[Total, ...] = ()
    """Totals of a full copy. A copy that has less is partial, never an error."""


@cache
def adapters() -> Mapping[str, Adapter]:
    """All adapters by name: the constant ``ADAPTER`` of each module here that has one."""
    package = importlib.import_module("pipeline.datasets")
    modules = (
        importlib.import_module(f"pipeline.datasets.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    )
    return {m.ADAPTER.name: m.ADAPTER for m in modules if hasattr(m, "ADAPTER")}


def read(entry: DatasetEntry, params: DatasetsParams | None = None) -> Iterator[Video | Rejected]:
    """What the dataset's adapter says about its files.

    Args:
        entry: the dataset in datasets.yaml.
        params: rules that change rows; the defaults where absent.

    Raises:
        UserError: an unknown adapter, an unknown, missing or wrong option, a root that is absent,
            may not be read or is of another layout.
    """
    adapter = _adapter(entry)
    options = _options(entry, adapter)
    _check_roots(entry, adapter)
    roots = tuple(root.absolute() for root in entry.roots)
    try:
        yield from adapter.read(Source(entry.name, roots, options, params or DatasetsParams()))
    except PermissionError as error:
        raise UserError(
            f"Dataset {entry.name}: {error.filename} may not be read by this user. Change its "
            "permissions, or the root in manifests/datasets.yaml."
        ) from error


def check(entry: DatasetEntry) -> None:
    """Raises UserError for an unknown adapter, or an unknown, missing or wrong option."""
    _options(entry, _adapter(entry))


def compare(
    entry: DatasetEntry, videos: pa.Table, expected: Iterable[Total] | None = None
) -> list[tuple[Total, int]]:
    """Totals that a full copy of this dataset has, each with what the table ``videos`` has.

    Args:
        entry: the dataset in datasets.yaml.
        videos: the table ``videos``.
        expected: totals to hold it against; None = all that the adapter knows.

    Raises:
        UserError: an unknown adapter, or an unknown, missing or wrong option.
    """
    adapter = _adapter(entry)
    options = _options(entry, adapter)
    own = videos.filter((pc.field("dataset") == entry.name) & (pc.field(OUTSIDE) == 0))
    found = []
    for total in adapter.expected if expected is None else expected:
        if all(options[key] == value for key, value in total.options.items()):
            rows = own
            for column, value in total.kind.items():
                rows = rows.filter(pc.equal(rows[column], pa.scalar(value, rows[column].type)))
            if total.path:
                rows = rows.filter(pc.match_substring_regex(rows["path"], total.path))
            found.append((total, rows.num_rows))
    return found


def wrong_root(source: Source, root: Path, adapter: Adapter) -> UserError:
    """The error of a root that exists but has nothing of the adapter's layout."""
    return UserError(
        f"Dataset {source.name}: {root} does not look like a dataset of adapter {adapter.name}, "
        f"which expects {adapter.expects}. Correct root or adapter in manifests/datasets.yaml."
    )


def _adapter(entry: DatasetEntry) -> Adapter:
    known = adapters()
    if entry.adapter not in known:
        raise UserError(
            f"Dataset {entry.name}: no adapter is called {entry.adapter}. "
            f"{suggestion(entry.adapter, known)}"
        )
    return known[entry.adapter]


def _options(entry: DatasetEntry, adapter: Adapter) -> dict[str, str]:
    where = f"Dataset {entry.name} (adapter {adapter.name})"
    known = {**adapter.options, **COMMON_OPTIONS}
    for key in entry.options:
        if key not in known:
            raise UserError(f"{where}: unknown option {key}. {suggestion(str(key), known)}")
    values = {}
    for key, option in known.items():
        value = entry.options.get(key, option.default)
        if value is None:
            raise UserError(f"{where}: option {key} is missing ({option.meaning}).")
        if not isinstance(value, str) or (option.among and value not in option.among):
            words = ", ".join(word for word in option.among if word)
            allowed = f"one of {words}" if option.among else "a text"
            raise UserError(f"{where}: option {key} is {value!r} but must be {allowed}.")
        values[key] = value
    return values


def _check_roots(entry: DatasetEntry, adapter: Adapter) -> None:
    for root in entry.roots:
        if not root.is_dir():
            raise UserError(
                f"Dataset {entry.name}: its root {root} is not a folder. Adapter {adapter.name} "
                f"expects {adapter.expects}. Correct it in manifests/datasets.yaml."
            )
