"""DiffusionFace: still pictures, one folder per method as the tars of its authors unpack.

Rules:

- The folder is the method; ``Real`` or ``MM-CelebA-HQ`` holds the reals. Folders that are not there
  were not downloaded.
- Inpainting, image-to-image and DiffSwap start from a real picture. A file of theirs is taken to be
  made from the real of the same number (not verified), and both stay in one split.
- There is no official split. Option ``split: ours`` draws one by ``datasets.split_seed``; ``test``
  makes everything test, as the SJEDD paper uses it.
- Option ``list`` names a list of ``path label`` (0 real, 1 fake), such as SJEDD's
  ``DiffusionFacetest.txt``: then what it does not list is ``excluded``. A label that is not the
  folder's is ``inconsistent``; what it lists and the disk lacks is ``missing``.
"""

import re
from collections.abc import Iterator

from faceshards.wording import suggestion
from pipeline.datasets import folders, path_lists, splits
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

_REALS = ("Real", "MM-CelebA-HQ")
_FROM_REAL = ("DiffSwap", "Inpaint")
_STRENGTHS = ("0.3", "0.5", "0.7")
_PROMPTS = ("p3g7", "p4g5", "p5g3")

CATEGORIES = {
    **dict.fromkeys(("ADM", "DDIM", "DDPM", "P2", "PNDM", "LDM"), "EFS"),
    "DiffSwap": "FS",
    "Inpaint": "FE",
    **{f"SD{v}_DS{strength}": "FE" for v in ("v15", "v21") for strength in _STRENGTHS},
    **{
        f"stable_diffusion_v_{v}_text2img_{prompt}": "EFS"
        for v in ("1_5", "2_1")
        for prompt in _PROMPTS
    },
}
"""Kind of manipulation of each method's folder."""

_METHODS = {name.casefold(): name for name in CATEGORIES} | {
    name.casefold(): REAL_METHOD for name in _REALS
}
_DEPTH = 4


def _read(source: Source) -> Iterator[Video | Rejected]:
    check = path_lists.LabelCheck(source, _key)
    for index, root in enumerate(source.roots):
        names = folders.subfolders(root)
        if not any(name.casefold() in _METHODS for name in names):
            raise wrong_root(source, root, ADAPTER)
        for name in names:
            method = _METHODS.get(name.casefold())
            if method is None:
                known = (*CATEGORIES, *_REALS)
                detail = f"not a folder of DiffusionFace. {suggestion(name, known)}"
                yield Rejected(source.path(index, name), "unsupported_media", detail)
                continue
            for below in folders.files(root / name, _DEPTH):
                path = f"{name}/{below}"
                if folders.is_image(below):  # DiffSwap holds a table besides.
                    yield check.judge(_image(source, index, path, method), path)
    yield from check.missing()


def _image(source: Source, index: int, path: str, method: str) -> Video:
    file = source.roots[index] / path
    real = method == REAL_METHOD
    number = re.fullmatch("0*([0-9]+)", folders.stem(path))
    from_real = real or method in _FROM_REAL or "_DS" in method
    origin = source.unique(f"image{number[1]}") if number and from_real else ""
    group = origin or source.unique(path)
    test = source.options["split"] == "test" or bool(source.options["list"])
    return Video(
        file=file,
        path=source.path(index, path),
        split="test" if test else splits.draw(source.params.split_seed, group),
        label=0 if real else 1,
        method=method,
        category="" if real else CATEGORIES[method],
        target_id="" if real else origin,
        pair_id=origin,
        leak_group=origin,
        media="image",
    )


def _key(path: str) -> str:
    return path_lists.tail(path, _METHODS.__contains__)


ADAPTER = Adapter(
    name="diffusionface",
    title="DiffusionFace",
    expects="folders of methods with pictures below the root: Real, DiffSwap, Inpaint, ADM …",
    read=_read,
    options={
        "split": Option(
            "ours = drawn by datasets.split_seed, since there is no official one; test = all test",
            "ours",
            ("ours", "test"),
        ),
        "list": Option(
            "a list of `path label`, relative to the first root or absolute; only that is read", ""
        ),
    },
    licence="research only",
    access="https://zenodo.org/records/10865300 and https://zenodo.org/records/10865065",
    expected=(Total(30_000, {"method": "DiffSwap"}, {"list": ""}),),
)
