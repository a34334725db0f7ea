"""What changed between two sets of shards: samples, what is said of them, and pixels."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from faceshards import images
from faceshards.looking import shard_folders
from faceshards.reading import Sample, Shards
from faceshards.wording import counted

EXAMPLES = 5
"""Ids that the text names of each kind of difference."""


@dataclass
class Differences:
    """What two shard folders of one name have and have not in common. Ids are sorted."""

    name: str
    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)
    relabelled: list[str] = field(default_factory=list)
    """Samples whose label or vector changed."""
    changed_keys: Counter[str] = field(default_factory=Counter)
    """How many samples say something else under a key of their json."""
    reencoded: list[str] = field(default_factory=list)
    """Samples whose JPEG has other bytes that decode to the same pixels."""
    repainted: list[str] = field(default_factory=list)
    """Samples with other pixels, masks included."""
    largest_step: int = 0
    """Greatest difference of a pixel's channel, 0 to 255."""
    same: int = 0
    """Samples with the same bytes in every member."""

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(
            self.only_first
            or self.only_second
            or self.changed_keys
            or self.reencoded
            or self.repainted
        )


def differences(first: Path, second: Path) -> list[Differences]:
    """Compares two shard folders, or two folders of them, by the samples' ids.

    A folder that one side alone has counts with all its samples. Tars with the same sha256 are not
    opened.

    Raises:
        UserError: one of them is no shard folder and holds none, or it is damaged.
        ValueError: a tar holds bad bytes.
    """
    sides = [{p.name: Shards(p) for p in shard_folders(path)} for path in (first, second)]
    if len(sides[0]) == len(sides[1]) == 1:  # two folders, whatever their names are
        return [_compare(*(next(iter(side.values())) for side in sides))]
    found = []
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        one, other = (side.get(name) for side in sides)
        if one is not None and other is not None:
            found.append(_compare(one, other))
        else:
            gone, new = (_ids(side.get(name)) for side in sides)
            found.append(Differences(name, gone, new))
    return found


def text(found: Sequence[Differences]) -> str:
    """The differences in sentences, with some ids of each kind."""
    lines = []
    for one in found:
        lines.append(f"{one.name}: {counted(one.same, 'sample')} the same")
        kinds = (
            (one.only_first, "only in the first"),
            (one.only_second, "only in the second"),
            (one.relabelled, "with another label or vector"),
            (one.repainted, f"with other pixels, by up to {one.largest_step} levels"),
            (one.reencoded, "with other bytes and the same pixels"),
        )
        for ids, what in kinds:
            if ids:
                more = ", …" if len(ids) > EXAMPLES else ""
                named = ", ".join(ids[:EXAMPLES])
                lines.append(f"  {counted(len(ids), 'sample')} {what}: {named}{more}")
        if one.changed_keys:
            keys = ", ".join(f"{key} ({n})" for key, n in sorted(one.changed_keys.items()))
            lines.append(f"  keys of the json that changed, with the number of samples: {keys}")
    return "\n".join(lines)


def _ids(shards: Shards | None) -> list[str]:
    return [] if shards is None else sorted(shards.index.column("sample_id").to_pylist())


def _compare(one: Shards, other: Shards) -> Differences:
    found = Differences(one.name)
    places = [
        {sample: at for at, sample in enumerate(s.index.column("sample_id").to_pylist())}
        for s in (one, other)
    ]
    found.only_first = sorted(places[0].keys() - places[1].keys())
    found.only_second = sorted(places[1].keys() - places[0].keys())
    common = [sample for sample in places[0] if sample in places[1]]
    same_tars = {
        name
        for name, about in one.tars.items()
        if name in other.tars and other.tars[name]["sha256"] == about["sha256"]
    }
    tars = one.index.column("tar").to_pylist()
    looked_at = [sample for sample in common if tars[places[0][sample]] not in same_tars]
    found.same = len(common) - len(looked_at)
    pairs = zip(
        looked_at,
        one.samples([places[0][sample] for sample in looked_at]),
        other.samples([places[1][sample] for sample in looked_at]),
        strict=True,
    )
    for sample_id, before, after in pairs:
        _compare_sample(found, sample_id, before, after)
    for ids in (found.relabelled, found.reencoded, found.repainted):
        ids.sort()
    return found


def _compare_sample(found: Differences, sample_id: str, before: Sample, after: Sample) -> None:
    changed = set(_changed_keys(before, after))
    found.changed_keys.update(changed)
    if changed & {"label", "vector", "graph"}:
        found.relabelled.append(sample_id)
    if before.members == after.members:
        found.same += not changed
        return
    step = max(
        _step(before.members.get(e), after.members.get(e)) for e in _extensions(before, after)
    )
    found.largest_step = max(found.largest_step, step)
    (found.repainted if step else found.reencoded).append(sample_id)


def _changed_keys(before: Sample, after: Sample) -> Iterator[str]:
    absent = object()
    for key in before.about.keys() | after.about.keys():
        if before.about.get(key, absent) != after.about.get(key, absent):
            yield key


def _extensions(before: Sample, after: Sample) -> set[str]:
    return {*before.members, *after.members}


def _step(before: bytes | None, after: bytes | None) -> int:
    """Greatest difference between two images' pixels; 255 where their shapes differ."""
    if before == after:
        return 0
    if before is None or after is None:
        return 255
    first, second = (images.decode_rgb(data).astype(np.int16) for data in (before, after))
    return int(np.abs(first - second).max()) if first.shape == second.shape else 255
