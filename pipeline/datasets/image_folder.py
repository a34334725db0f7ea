"""A tree of images in folders whose names say what they are.

A row is an image, or with ``rows: folders`` a folder of images: the frames of one video.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.datasets import folders
from pipeline.datasets.base import Adapter, Option, Rejected, Source, Video, wrong_root
from pipeline.datasets.image_rules import OPTIONS, ImagePlace, ImageRules

DEPTH = 12
"""Levels below a root that are looked into."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    rules = ImageRules(source)
    alone = source.options["rows"] == "pictures"
    for index, root in enumerate(source.roots):
        found = [name for name in folders.files(root, DEPTH) if folders.is_image(name)]
        if not found:
            raise wrong_root(source, root, ADAPTER)
        rows = found if alone else dict.fromkeys(str(PurePosixPath(name).parent) for name in found)
        for relative in rows:
            path = source.path(index, relative)
            media = "image" if alone else "frames"
            yield rules.row(ImagePlace(f"{root}/{relative}", path, media), relative)


ROWS = Option(
    "pictures = each on its own; folders = a folder is one video, its pictures the frames",
    "pictures",
    ("pictures", "folders"),
)

ADAPTER = Adapter(
    name="imagefolder",
    title="any tree of pictures in folders",
    expects="pictures in folders whose names the option layout explains",
    read=_read,
    options={**OPTIONS, "rows": ROWS},
)
