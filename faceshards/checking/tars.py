"""One tar against the index and shards.json, member by member."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pyarrow.compute as pc

from faceshards import fields, images, keys, tar
from faceshards.checking import image_problems, sample
from faceshards.checking.labels import Labels
from faceshards.reading import Shards, group, member_column, parse_json

Members = Mapping[str, tar.TarMember]


class Seen:
    """What all samples of one folder must have in common, learned from the first ones."""

    def __init__(self, shards: Shards) -> None:
        self.folder = shards.name
        self.members = fields.members(shards.name)
        self.split = "train" if shards.name == fields.EXPANDED else shards.name
        self.labels = Labels(shards.name, shards.facts["graphs"])
        self.side_px: tuple[int, int] | None = None
        """Width and height of the first image, which all others must have."""
        self.jpeg_head = b""
        """Tables of the first JPEG, which all others must have."""
        self.tar_of_video: dict[str, str] = {}


def tar_problems(shards: Shards, tar_name: str, seen: Seen) -> Iterator[str]:
    """Everything that is wrong with a tar that is there; without its digest.

    Raises OSError or ValueError where it cannot be read to its end.
    """
    path, facts = shards.folder / tar_name, shards.tars[tar_name]
    try:
        members = list(tar.walk(path))
        samples = list(group(iter(members)))
    except ValueError as error:
        yield str(error)
        return
    table = shards.index.filter(pc.equal(shards.index.column("tar"), tar_name))
    rows = {row["key"]: row for row in table.to_pylist()}
    labels = {"fake": 0, "real": 0}
    data = tar.OpenTar(path)
    yield from _frame_problems(members, data)
    for key, found in samples:
        row = rows.pop(key, None)
        if row is None:
            yield f"{key} is not in the index, or twice in the tar"
            continue
        labels["fake" if row["label"] else "real"] += 1
        dataset = tar_name.rpartition("-")[0]
        if row["dataset"] != dataset:
            yield f"{key}: dataset is {row['dataset']!r} in a tar of {dataset}"
        home = seen.tar_of_video.setdefault(row["video_id"], tar_name)
        if home != tar_name:
            yield f"{key}: other samples of its video are in {home}"
        for problem in _sample_problems(key, found, row, data, seen):
            yield f"{key}: {problem}"
    for key in rows:
        yield f"{key} is in the index, but not in the tar"
    order = [keys.hash64(key) for key, _ in samples]
    if any(first > second for first, second in pairwise(order)):
        yield "its samples are not in the order of their keys' hashes"
    counts = {"samples": len(samples), "labels": labels}
    for name, count in counts.items():
        if facts[name] != count:
            yield f"{name} are {count}, shards.json says {facts[name]}"


def _frame_problems(members: list[tar.TarMember], data: tar.OpenTar) -> Iterator[str]:
    """Headers, padding and end that differ from those of the one way to write these members."""
    end = 0
    for member in members:
        start = member.offset - tar.BLOCK
        behind = member.offset + member.size
        end = start + tar.stored_size(member.size)
        try:
            header = tar.header(member.name, member.size)
        except ValueError as error:
            yield str(error)
            continue
        if data.read(start, tar.BLOCK) != header:
            yield f"byte {start}: the header of {member.name} is not written in this format's way"
        if any(data.read(behind, end - behind)):
            yield f"byte {behind}: something is hidden behind {member.name}"
    if data.read(end, data.size - end) != bytes(2 * tar.BLOCK):
        yield f"byte {end}: the end is not two empty blocks"


def _sample_problems(
    key: str, members: Members, row: Mapping[str, Any], data: tar.OpenTar, seen: Seen
) -> Iterator[str]:
    if tuple(members) != seen.members:
        yield f"members are {', '.join(members)}, not {', '.join(seen.members)}"
        return
    yield from _place_problems(members, row)
    bytes_of = {e: data.read(m.offset, m.size) for e, m in members.items()}
    yield from _image_problems(bytes_of, seen)
    try:
        about = parse_json(bytes_of["json"])
    except ValueError as error:
        yield str(error)
        return
    wrong = list(sample.form_problems(bytes_of["json"], about, seen.folder))
    yield from wrong
    for name in (*fields.scalars(seen.folder), "vector"):
        if about.get(name) != row[name]:
            yield f"{name} is {about.get(name)!r} in its json, {row[name]!r} in the index"
    if wrong:
        return
    if about["split"] != seen.split:
        yield f"split is {about['split']!r} in a folder of {seen.split}"
    yield from sample.id_problems(key, row["sample_id"], about, seen.folder)
    yield from sample.range_problems(about, seen.folder, max(seen.side_px or (0,)))
    yield from seen.labels.problems(about)


def _place_problems(members: Members, row: Mapping[str, Any]) -> Iterator[str]:
    places = {member_column(e): (m.offset, m.size) for e, m in members.items()}
    first, last = (list(members.values())[i] for i in (0, -1))
    start = first.offset - tar.BLOCK
    places[""] = (start, last.offset - tar.BLOCK + tar.stored_size(last.size) - start)
    for column, place in places.items():
        told = row[f"{column}offset"], row[f"{column}size"]
        if told != place:
            yield f"{column}offset and size are {place}, the index says {told}"


def _image_problems(bytes_of: Mapping[str, bytes], seen: Seen) -> Iterator[str]:
    for extension in ("jpg", "mask.png"):
        if extension not in bytes_of:
            continue
        data = bytes_of[extension]
        try:
            side_px = images.dimensions(data)
        except ValueError as error:
            yield f"{extension}: {error}"
            continue
        if (data[:2] == b"\xff\xd8") != (extension == "jpg"):
            yield f"{extension}: of another format than its name says"
            continue
        seen.side_px = seen.side_px or side_px
        if side_px != seen.side_px:
            yield f"{extension}: {side_px} px, other images have {seen.side_px}"
            continue
        found = (
            _jpeg_problems(data, seen) if extension == "jpg" else image_problems.mask_problems(data)
        )
        for problem in found:
            yield f"{extension}: {problem}"


def _jpeg_problems(data: bytes, seen: Seen) -> Iterator[str]:
    try:
        head = image_problems.jpeg_head(data)
    except ValueError as error:
        yield str(error)
        return
    seen.jpeg_head = seen.jpeg_head or head
    if head != seen.jpeg_head:
        yield "its tables or sampling are not those of the other images"
    problem = image_problems.jpeg_problem(data)
    if problem:
        yield problem
