"""The pristine film that a fake was made of, found by ``pair_id`` among the rows of its dataset."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.datasets.base import Reference, Rejected, Video


def apply(items: Iterable[Video | Rejected]) -> Iterator[Video | Rejected]:
    """An adapter's rows; those that are :attr:`Video.aligned` get their real as ``pair``.

    It is the real row of the same ``pair_id``, media and compression; where several are, nobody
    knows which one it is, and there is no pair.
    """
    listed = list(items)
    reals: dict[tuple[str, str, str], Video | None] = {}
    for item in listed:
        if isinstance(item, Video) and not item.label and item.pair_id:
            reals[_key(item)] = None if _key(item) in reals else item
    for item in listed:
        if isinstance(item, Video) and item.aligned and item.pair is None:
            real = reals.get(_key(item))
            pair = None if real is None else Reference(real.file, real.path)
            yield replace(item, pair=pair)
        else:
            yield item


def _key(video: Video) -> tuple[str, str, str]:
    return video.pair_id, video.media, video.compression
