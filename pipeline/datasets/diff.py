"""DiFF: still pictures by diffusion models under four conditions.

Rules:

- ``DiFF/<split>/<condition>/<method>/`` holds the fakes, ``DiFF_real/<split>/`` the reals; both may
  lie below one root, or each may be a root. The split is the folder.
- Copies without folders of splits, ``DiFF/<condition>/<method>/`` and ``DiFF_real/``, are read by a
  list beside them: what it names is test.
- The condition is the category: FS and FE as they are, T2I (from text) and I2I (from a picture)
  both EFS. It is kept as ``subtype``. Methods are the names of their folders, whatever they are.
- Nothing tells whose face a fake was made from.
- Option ``list`` names a list of ``path label`` (0 real, 1 fake), such as SJEDD's ``DiFFtest.txt``:
  then what it does not list is ``excluded``. A label that is not the folder's is ``inconsistent``;
  what it lists and the disk lacks is ``missing``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from faceshards.fields import SPLITS
from faceshards.wording import suggestion
from pipeline.datasets import folders, lists, path_lists
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
_LIST = "DiFFtest.txt"
"""The usual name of the list of a copy without folders of splits."""


@dataclass(frozen=True)
class _Part:
    """The fakes or the reals of one split, or of a copy without splits."""

    root_index: int
    folder: str
    """Below the root; "" = the root itself."""
    real: bool
    split: str
    """"" = no folder says so."""

    def below(self, name: str) -> str:
        """The path below the root of something in this part."""
        return f"{self.folder}/{name}" if self.folder else name


def _read(source: Source) -> Iterator[Video | Rejected]:
    tops = [top for index in range(len(source.roots)) for top in _tops(source, index)]
    parts = [part for top in tops for part in _splits(source, top)]
    by_split = bool(parts)
    if not by_split:
        parts = tops
        if not source.options["list"]:
            raise lists.absent(
                source,
                _LIST,
                f"what is test, since there are no folders {', '.join(SPLITS)}",
                ", and name it with option list",
            )
    key = _key_by_split if by_split else _key_by_condition
    check = path_lists.LabelCheck(source, key)
    for part in parts:
        for item in _reals(source, part) if part.real else _fakes(source, part):
            yield item if isinstance(item, Rejected) else check.judge(item, _below(source, item))
    yield from check.missing()


def _tops(source: Source, index: int) -> Iterator[_Part]:
    """Where fakes and reals of a root are, their folders of splits still to come."""
    root = source.roots[index]
    if tops := [name for name in (_FAKES, _REALS) if (root / name).is_dir()]:
        yield from (_Part(index, top, top == _REALS, "") for top in tops)
        return
    inside = folders.subfolders(root)
    below = [name for split in SPLITS for name in folders.subfolders(root / split)]
    fakes = bool(set(CONDITIONS) & {*inside, *below})
    if not (fakes or set(SPLITS) & set(inside) or root.name == _REALS):
        raise wrong_root(source, root, ADAPTER)
    yield _Part(index, "", not fakes, "")


def _splits(source: Source, top: _Part) -> Iterator[_Part]:
    for name in folders.subfolders(source.roots[top.root_index] / top.folder):
        if name in SPLITS:
            yield _Part(top.root_index, top.below(name), top.real, name)


def _reals(source: Source, part: _Part) -> Iterator[Video | Rejected]:
    for name in folders.files(source.roots[part.root_index] / part.folder, _DEPTH):
        yield _image(source, part, name, REAL_METHOD, "")


def _fakes(source: Source, part: _Part) -> Iterator[Video | Rejected]:
    root = source.roots[part.root_index]
    for condition in folders.subfolders(root / part.folder):
        if condition not in CONDITIONS:
            detail = f"not a condition of DiFF. {suggestion(condition, CONDITIONS)}"
            path = source.path(part.root_index, part.below(condition))
            yield Rejected(path, "unsupported_media", detail)
            continue
        for name in folders.files(root / part.below(condition), _DEPTH):
            method, slash, _ = name.partition("/")
            if slash:
                yield _image(source, part, f"{condition}/{name}", method, condition)
            else:
                path = source.path(part.root_index, part.below(f"{condition}/{name}"))
                yield Rejected(path, "unsupported_media", "not in the folder of a method")


def _image(source: Source, part: _Part, name: str, method: str, condition: str) -> Video | Rejected:
    below = part.below(name)
    path = source.path(part.root_index, below)
    if not folders.is_image(name):
        return Rejected(path, "unsupported_media", "not the suffix of a picture")
    return Video(
        file=f"{source.roots[part.root_index]}/{below}",
        path=path,
        split=part.split or "test",
        label=1 if condition else 0,
        method=method,
        category=CONDITIONS.get(condition, ""),
        subtype=condition,
        media="image",
    )


def _below(source: Source, item: Video) -> str:
    return item.path.partition("/")[2] if len(source.roots) > 1 else item.path


def _key_by_split(path: str) -> str:
    return path_lists.tail(path, SPLITS.__contains__)


def _key_by_condition(path: str) -> str:
    """A fake from its condition on; a real from what is below the folder of the reals."""
    of_fake = path_lists.tail(path, lambda part: part.upper() in CONDITIONS)
    if of_fake.split("/")[0].upper() in CONDITIONS:
        return of_fake
    real = path_lists.tail(path, lambda part: part == _REALS.casefold())
    return real.removeprefix(f"{_REALS.casefold()}/")


ADAPTER = Adapter(
    name="diff",
    title="DiFF (Diffusion Facial Forgery)",
    expects=(
        "DiFF/<split>/<FS, FE, T2I or I2I>/<method>/ and DiFF_real/<split>/ with pictures below "
        "the root, or the inside of one of the two; without folders of splits, a list beside them"
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
