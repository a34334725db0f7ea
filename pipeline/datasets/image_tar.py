"""Tars of images, which are read in place.

The layout is that of an image's path in the tar behind that of the tar without its suffix:
``train/0001.tar`` with ``real/a.png`` in it is ``train/0001/real/a.png``. A row is an image, or
with ``rows: folders`` a folder of images: the frames of one video. Gzipped tars have to be read
from their beginning for each image, so that only their folders can be rows.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets import folders, tar_names
from pipeline.datasets.base import Adapter, Rejected, Source, Video, wrong_root
from pipeline.datasets.image_folder import DEPTH, ROWS
from pipeline.datasets.image_rules import OPTIONS, ImagePlace, ImageRules

PLAIN = ".tar"
GZIPPED = (".tar.gz", ".tgz")


def _read(source: Source) -> Iterator[Video | Rejected]:
    rules = ImageRules(source)
    for index, root in enumerate(source.roots):
        tars = [
            name for name in folders.files(root, DEPTH) if name.lower().endswith((PLAIN, *GZIPPED))
        ]
        if not tars:
            raise wrong_root(source, root, ADAPTER)
        for name in tars:
            yield from _in_tar(source, rules, root / name, name, source.path(index, name))


def _in_tar(
    source: Source, rules: ImageRules, tar: Path, name: str, path: str
) -> Iterator[Video | Rejected]:
    alone = source.options["rows"] == "pictures"
    if not tar.is_file():
        yield Rejected(path, "unsupported_media", "not a regular file")
        return
    top = name[: -len(next(end for end in (PLAIN, *GZIPPED) if name.lower().endswith(end)))]
    sizes: dict[str, int] = {}
    problem = ""
    try:
        if alone and tar_names.is_gzipped(tar):
            detail = "gzipped: gunzip it, since its pictures cannot be read in place"
            yield Rejected(path, "unsupported_media", detail)
            return
        for member in tar_names.images(tar, path):
            if isinstance(member, Rejected):
                yield member
                continue
            row = member.name if alone else member.name.rpartition("/")[0] or "."
            if alone and row in sizes:
                detail = "a name twice; the last one counts, as when the tar is unpacked"
                yield Rejected(f"{path}!{row}#{member.offset}", "duplicate", detail)
                sizes[row] = member.size
            else:
                sizes[row] = sizes.get(row, 0) + member.size
    except (EOFError, OSError, zlib.error, ValueError) as error:
        problem = str(error) or type(error).__name__
    for row, size in sizes.items():
        place = ImagePlace(str(tar), f"{path}!{row}", "tar_image" if alone else "tar", size)
        yield rules.row(place, f"{top}/{row}")
    if problem:
        yield Rejected(path, "unreadable", f"damaged after {len(sizes)} rows: {problem}")
    elif not sizes:
        yield Rejected(path, "empty", "a tar without pictures")


ADAPTER = Adapter(
    name="tar",
    title="any tars of pictures",
    expects="tars of pictures, whose paths the option layout explains",
    read=_read,
    options={**OPTIONS, "rows": ROWS},
)
