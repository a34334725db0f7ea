"""What lies outside the labelled parts of a fake: nothing (``exclude``), or rows of their own.

With ``outside: real`` in datasets.yaml, each fake that is labelled in parts gives a second row of
the same file: its label is real, its parts are what is left of the film. People, scene and leak
group are those of the fake, and so is the split: the two never lie in different ones.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.config.dataset_entries import DatasetEntry
from pipeline.datasets.base import OUTSIDE, REAL_METHOD, Rejected, Video


def apply(entry: DatasetEntry, items: Iterable[Video | Rejected]) -> Iterator[Video | Rejected]:
    """An adapter's rows, and those of what lies outside of labelled parts where it is wanted."""
    wanted = entry.options.get(OUTSIDE) == "real"
    for item in items:
        if wanted and isinstance(item, Video) and item.label and _in_parts(item):
            # Something must tie the two together, since they show the same scene.
            fake = replace(item, pair_id=item.pair_id or f"{entry.name}:{item.path}")
            yield fake
            yield _row_outside(fake)
        else:
            yield item


def _in_parts(video: Video) -> bool:
    return bool(video.segments_s or video.segments_frames)


def _row_outside(fake: Video) -> Video:
    return replace(
        fake,
        outside=1,
        label=0,
        method=REAL_METHOD,
        category="",
        subtype="",
        # Whom a fake shows is who was put in; outside of it, it is who was filmed.
        identity=fake.target_id or fake.identity,
        target_id="",
        source_id="",
        aligned=False,
        pair=None,
        mask=None,
    )
