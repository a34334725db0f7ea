"""DiFF: still pictures by diffusion models under four conditions.

Rules:

- ``DiFF/<split>/<condition>/<method>/`` holds the fakes, ``DiFF_real/<split>/`` the reals; both may
  lie below one root, or each may be a root. The split is the folder.
- The condition is the category: FS and FE as they are, T2I (from text) and I2I (from a picture)
  both EFS. It is kept as ``subtype``. Methods are the names of their folders, whatever they are.
- Nothing tells whose face a fake was made from.
- Option ``list`` names a list of ``path label`` (0 real, 1 fake), such as SJEDD's ``DiFFtest.txt``:
  then what it does not list is ``excluded``. A label that is not the folder's is ``inconsistent``;
  what it lists and the disk lacks is ``missing``.
"""

from collections.abc import Iterator

from faceshards.fields import SPLITS
from faceshards.wording import suggestion
from pipeline.datasets import folders, path_lists
from pipeline.datasets.base import (
    REAL_METHOD,
    Adapter,
    Option,
    Rejected,
    Source,
    Total,
    Video,
    wrong_root,
)

CONDITIONS = {"FS": "FS", "FE": "FE", "T2I": "EFS", "I2I": "EFS"}
"""Category of each condition."""

_FAKES, _REALS = "DiFF", "DiFF_real"
_DEPTH = 4


def _read(source: Source) -> Iterator[Video | Rejected]:
    listed = path_lists.labels(source, _key)
    for index, root in enumerate(source.roots):
        tops = [name for name in (_FAKES, _REALS) if (root / name).is_dir()]
        if tops:
            parts = [(f"{top}/", top == _REALS) for top in tops]
        elif _splits(source, index, ""):
            parts = [("", not any(_conditions(source, index, s) for s in SPLITS))]
        else:
            raise wrong_root(source, root, ADAPTER)
        for prefix, real in parts:
            for split in _splits(source, index, prefix):
                read = _reals if real else _fakes
                for item in read(source, index, prefix, split):
                    yield from _as_listed(source, item, listed)
    for path, _ in listed.values():
        yield Rejected(source.path(0, path), "missing", "in the list")


def _splits(source: Source, index: int, prefix: str) -> list[str]:
    return [name for name in folders.subfolders(source.roots[index] / prefix) if name in SPLITS]


def _conditions(source: Source, index: int, folder: str) -> list[str]:
    return [n for n in folders.subfolders(source.roots[index] / folder) if n in CONDITIONS]


def _reals(source: Source, index: int, prefix: str, split: str) -> Iterator[Video | Rejected]:
    folder = f"{prefix}{split}"
    for name in folders.files(source.roots[index] / folder, _DEPTH):
        yield _image(source, index, f"{folder}/{name}", split, REAL_METHOD, "")


def _fakes(source: Source, index: int, prefix: str, split: str) -> Iterator[Video | Rejected]:
    top = f"{prefix}{split}"
    for condition in folders.subfolders(source.roots[index] / top):
        if condition not in CONDITIONS:
            detail = f"not a condition of DiFF. {suggestion(condition, CONDITIONS)}"
            yield Rejected(source.path(index, f"{top}/{condition}"), "unsupported_media", detail)
            continue
        folder = f"{top}/{condition}"
        for name in folders.files(source.roots[index] / folder, _DEPTH):
            method, slash, _ = name.partition("/")
            if slash:
                yield _image(source, index, f"{folder}/{name}", split, method, condition)
            else:
                path = source.path(index, f"{folder}/{name}")
                yield Rejected(path, "unsupported_media", "not in the folder of a method")


def _image(
    source: Source, index: int, path: str, split: str, method: str, condition: str
) -> Video | Rejected:
    if not folders.is_image(path):
        where = source.path(index, path)
        return Rejected(where, "unsupported_media", "not the suffix of a picture")
    return Video(
        file=source.roots[index] / path,
        path=source.path(index, path),
        split=split,
        label=1 if condition else 0,
        method=method,
        category=CONDITIONS.get(condition, ""),
        subtype=condition,
        media="image",
    )


def _as_listed(
    source: Source, item: Video | Rejected, listed: dict[str, tuple[str, str]]
) -> Iterator[Video | Rejected]:
    """The item itself, or what the list, where there is one, makes of it."""
    if not source.options["list"] or isinstance(item, Rejected):
        yield item
        return
    _, label = listed.pop(_key(item.path), ("", ""))
    if label not in ("", str(item.label)):
        detail = f"by its folder it is {item.label}, the list says {label}"
        yield Rejected(item.path, "inconsistent", detail)
    elif label:
        yield item
    else:
        yield Rejected(item.path, "excluded", "not in the list")


def _key(path: str) -> str:
    return path_lists.tail(path, SPLITS.__contains__)


ADAPTER = Adapter(
    name="diff",
    title="DiFF (Diffusion Facial Forgery)",
    expects=(
        "DiFF/<split>/<FS, FE, T2I or I2I>/<method>/ and DiFF_real/<split>/ with pictures below "
        "the root, or the inside of one of the two"
    ),
    read=_read,
    options={
        "list": Option(
            "a list of `path label`, relative to the first root or absolute; only that is read", ""
        ),
    },
    licence="as its authors' form says",
    access="https://github.com/xaCheng1996/DiFF (fakes by link, reals by a form)",
    expected=(Total(500_000, {"label": 1}, {"list": ""}, note="its authors say 'over 500,000'"),),
)
