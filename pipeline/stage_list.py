"""The stages in the order in which they run, in words: the one list that everything else reads."""

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """What there is to say of one stage."""

    name: str
    does: str
    """In a few words."""
    unit: str = ""
    """What its metrics count; "" for stages that are not counted."""
    left_out: str = ""
    """What it may leave out without rejecting it."""
    reads: tuple[str, ...] = ()
    """Tables of earlier stages, ``videos`` aside, that the plan of its rows is made from."""
    has_store: bool = False
    """Its rows are worked by the engine, and kept."""
    keeps_rejects: bool = False
    """Its rejects stand in its store, and can be taken back."""
    opens_media: bool = False
    """Its rows read the datasets' files, which may be away for a moment."""


STAGES = (
    About("scan", "lists the videos of every dataset", "videos"),
    About(
        "frames",
        "plans which times are looked at",
        "videos",
        has_store=True,
        keeps_rejects=True,
        opens_media=True,
    ),
    About(
        "faces",
        "decodes, finds and crops faces",
        "sampled pictures",
        "repeats of the picture before",
        reads=("frames",),
        has_store=True,
        keeps_rejects=True,
        opens_media=True,
    ),
    About("balance", "chooses which faces become samples", "faces", "not chosen"),
    About(
        "landmarks",
        "finds 68 points on train faces",
        "faces",
        reads=("samples", "faces"),
        has_store=True,
        keeps_rejects=True,
    ),
    About(
        "expand",
        "swaps regions between people",
        "region swaps",
        reads=("samples", "faces", "landmarks"),
        has_store=True,
        keeps_rejects=True,
    ),
    About(
        "shard",
        "packs samples into tars",
        "samples",
        reads=("samples", "faces", "landmarks", "expanded"),
        has_store=True,
    ),
    About("train", "trains every run"),
    About("evaluate", "scores every run"),
    About("report", "writes report/index.html and lost.csv"),
)

COUNTED = tuple(stage for stage in STAGES if stage.unit)
"""Those that make data; ``metrics/<stage>.json`` has their counts."""
WITH_STORE = tuple(stage for stage in STAGES if stage.has_store)
WITH_REJECTS = tuple(stage for stage in STAGES if stage.keeps_rejects)
OPENS_MEDIA = tuple(stage.name for stage in STAGES if stage.opens_media)
COUNTS = ("inputs", "outputs", "rejects", "left_out")
"""Keys of every counted stage's metrics; the first is the sum of the others."""


def named(stages: tuple[About, ...]) -> str:
    """Names of stages as a sentence has them: ``frames, faces and expand``."""
    *most, last = [stage.name for stage in stages]
    return f"{', '.join(most)} and {last}" if most else last
