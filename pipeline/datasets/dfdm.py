"""DFDM (DeepFakes from Different Models): five autoencoders on the clips of Celeb-DF.

Rules:

- ``<model>/…/id0_id1_0000_<tag>.mp4``: id0 is the target, id1 the source, whose face is shown. A
  level ``c0``, ``c10`` or ``c23`` is the compression; option ``compression`` reads one of them.
- The reals are Celeb-DF's ``Celeb-real``, from here or from a second root.
- There is no official split. Ours is 70, 15 and 15 % of the targets.
"""

import re
from collections.abc import Iterator

from pipeline.datasets import donors, splits
from pipeline.datasets.base import REAL_METHOD, Adapter, Option, Rejected, Source, Total, Video
from pipeline.datasets.named_files import NamedFile, named_files
from pipeline.datasets.shared_ids import celeb_df, leak_group

REALS = "celeb-real"
MODELS = {
    "dfaker": "DFaker",
    "dfl": "DFL-H128",
    "dfl-h128": "DFL-H128",
    "faceswap": "FaceSwap",
    "iae": "IAE",
    "lightweight": "LightWeight",
}
"""Folders of models, and the methods; copies shorten one."""
_FAKE = re.compile(r"(id\d+)_(id\d+)_(\d+)(?:_.*)?", re.ASCII)
_REAL = re.compile(r"(id\d+)_(\d+)", re.ASCII)
_QUALITY = re.compile(r"c\d+|raw", re.ASCII)
_ALL = "all"
_DEPTH = 3


def _read(source: Source) -> Iterator[Video | Rejected]:
    for found in named_files(source, ADAPTER, (REALS, *MODELS), _DEPTH):
        yield found if isinstance(found, Rejected) else _video(source, found)


def _video(source: Source, found: NamedFile) -> Video | Rejected:
    real = found.top == REALS
    name = (_REAL if real else _FAKE).fullmatch(found.stem)
    if name is None:
        form = "id<A>_<clip>" if real else "id<A>_id<B>_<clip>_<tag>"
        return Rejected(found.path, "inconsistent", f"the name is not {form}")
    quality = next((level for level in found.parents if _QUALITY.fullmatch(level)), "")
    if quality and source.options["compression"] not in (quality, _ALL):
        return Rejected(found.path, "excluded", f"compression {quality} (option compression)")
    target, donor = celeb_df(name[1]), "" if real else celeb_df(name[2])
    seed = source.params.split_seed
    video = Video(
        file=found.file,
        path=found.path,
        split=splits.draw(seed, target),
        label=int(not real),
        method=REAL_METHOD if real else MODELS[found.top],
        identity=target if real else donor,
        target_id="" if real else target,
        source_id=donor,
        pair_id=source.unique(f"{name[1]}_{name[2] if real else name[3]}"),
        leak_group=leak_group(target),
        compression=quality,
    )
    return donors.checked(source, video, splits.draw(seed, donor) if donor else "")


ADAPTER = Adapter(
    name="dfdm",
    title="DFDM",
    expects=(
        "DFaker/, DFL-H128/, FaceSwap/, IAE/ and LightWeight/ below a root, with "
        "id0_id1_0000_<tag>.mp4 in them (videos/ or c23/videos/ may lie between), and Celeb-real/ "
        "of Celeb-DF below one"
    ),
    read=_read,
    options={
        "compression": Option("which copies of fakes: all, or such as c23", _ALL),
        **donors.OPTIONS,
    },
    licence="research only",
    access="https://github.com/shanface33/Deepfake_Model_Attribution: a form",
    expected=(
        Total(590, {"label": 0}),
        Total(6_450, {"label": 1}, note="from the paper"),
    ),
)
