"""FakeAVCeleb v1.2: fake pictures, fake sounds, both, and reals.

Rules:

- meta_data.csv decides what there is. Its header ends in a comma: ``path`` is the file's name and a
  column without a name the folder; copies that say ``filename,path`` are read alike. The first name
  of the folder (the dataset's own) is dropped, and folders are compared by their letters alone,
  since copies spell ``Asian (East)`` in several ways.
- The label is that of the picture: RealVideo is real whatever is heard. RealVideo-FakeAudio is
  rejected (``datasets.audio_only: exclude``), or real with ``audio_fake`` 1 (``real``).
- 22 files are listed twice, with two methods. One row is kept: the one whose method the name fits,
  else the first; the other is rejected as ``duplicate``. Otherwise the csv's method holds, also
  where a name looks like another one.
- People are VoxCeleb2's and keep its names, so that leaks into other sets made of it are seen.
- There is no official split. Ours is train, val and test with 70, 15 and 15 % of the people whose
  clips they are (the folder), drawn by ``datasets.split_seed``. Whose face or voice was put in may
  be in another split; ``donors: same_split`` rejects such fakes as ``excluded``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.datasets import folders, lists, sound_alone, splits
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
from pipeline.datasets.lists import CrossCheck
from pipeline.datasets.shared_ids import leak_group, voxceleb

META = "meta_data.csv"

_TYPES = {
    "RealVideo-RealAudio": (0, 0),
    "RealVideo-FakeAudio": (0, 1),
    "FakeVideo-RealAudio": (1, 0),
    "FakeVideo-FakeAudio": (1, 1),
}
"""Label and audio_fake of each folder."""

_SWAPS = ("faceswap", "fsgan", "faceswap-wav2lip", "fsgan-wav2lip")
"""Methods that show another person's face."""
_SYNC = "_wavtolip"
_PERSON = re.compile(r"id\d{5}", re.ASCII)
_DEPTH = 5
_Key = tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    """One line of the csv."""

    number: int
    folder: str
    name: str
    method: str


@dataclass(frozen=True)
class _People:
    """Who a video is made of; "" where its name does not say."""

    target: str
    face: str
    voice: str


def _read(source: Source) -> Iterator[Video | Rejected]:
    lines, twice = _chosen(_lines(source))
    check = CrossCheck(lines, ("inconsistent", f"not in {META}"))
    tops: set[str] = set()
    for index, root in enumerate(source.roots):
        here = [top for top in folders.subfolders(root) if top in _TYPES]
        if not here:
            raise wrong_root(source, root, ADAPTER)
        for top in here:
            tops.add(top)
            for below in folders.files(root / top, _DEPTH):
                relative = f"{top}/{below}"
                path, key = source.path(index, relative), _key(relative)
                if rejected := check.reject(path, key, relative):
                    yield rejected
                    continue
                yield _video(source, f"{root}/{relative}", path, relative, lines[key].method)
                for line in twice.get(key, ()):
                    detail = f"line {line.number} of {META} lists it again, as {line.method}"
                    yield Rejected(path, "duplicate", detail)
    for key, line in check.missing():
        path = source.path(0, f"{line.folder}/{line.name}".strip("/"))
        where = f"line {line.number} of {META}"
        if key[0] in tops:
            yield Rejected(path, "missing", where)
        elif key[0] not in _TYPES:
            detail = f"{where} names none of the folders {', '.join(_TYPES)}"
            yield Rejected(path, "inconsistent", detail)


def _key(relative: str) -> _Key:
    """What a path is, however a copy spells the folder of its race."""
    top, *between, name = relative.split("/")
    return (top, *("".join(filter(str.isalnum, part)).lower() for part in between), name)


def _chosen(found: list[_Line]) -> tuple[dict[_Key, _Line], dict[_Key, list[_Line]]]:
    """The line that holds for each file, and the others where there are any."""
    by_file: dict[_Key, list[_Line]] = {}
    for line in found:
        by_file.setdefault(_key(f"{line.folder}/{line.name}"), []).append(line)
    for lines in by_file.values():
        lines.sort(key=lambda line: (not _fits(line), line.number))
    chosen = {key: lines[0] for key, lines in by_file.items()}
    return chosen, {key: lines[1:] for key, lines in by_file.items() if len(lines) > 1}


def _fits(line: _Line) -> bool:
    """Whether a lip-synced file's name tells of a face swap exactly where its method does."""
    stem = folders.stem(line.name)
    parts = stem.removesuffix(_SYNC).split("_")
    return (line.method in _SWAPS) == (len(parts) > 2) if stem.endswith(_SYNC) else True


def _lines(source: Source) -> list[_Line]:
    meta = lists.find(source, META, "what each video is")
    remedy = "Take the official file."
    header = next(lists.read_lines(source, meta, remedy), (1, ""))[1]
    # Two columns place a file: its folder and its name.
    folder, name = ("path", "filename") if "filename" in header else ("", "path")
    lines = []
    for number, row in lists.read_csv(source, meta, ("method", "path", folder, name), remedy):
        parts = row[folder].strip("/").split("/")
        below = "/".join(parts if parts[0] in _TYPES else parts[1:])
        lines.append(_Line(number, below, row[name], row["method"]))
    return lines


def _video(source: Source, file: str, path: str, relative: str, method: str) -> Video | Rejected:
    person, name = relative.split("/")[-2:]
    label, audio_fake = _TYPES[relative.split("/")[0]]
    if not _PERSON.fullmatch(person):
        return Rejected(path, "inconsistent", "not in a person's folder, such as id00076")
    if not method or "/" in method:
        return Rejected(path, "inconsistent", f"{META} names no method, but {method[:40]!r}")
    if label == 1 and method == REAL_METHOD:
        return Rejected(path, "inconsistent", f"{META} says real, its folder says fake")
    people = _people(person, folders.stem(name), method)
    seed = source.params.split_seed
    split = splits.draw(seed, person)
    for donor in (people.face, people.voice):
        if donor and source.options["donors"] == "same_split" and splits.draw(seed, donor) != split:
            return Rejected(path, "excluded", f"{donor} is in another split (option donors)")
    other = people.face or people.voice
    target, donor = voxceleb(person), voxceleb(other) if other else ""
    shown = target if method not in _SWAPS else donor if people.face else ""
    video = Video(
        file=file,
        path=path,
        split=split,
        label=label,
        method=method if label or audio_fake else REAL_METHOD,
        audio_fake=audio_fake,
        identity=shown,
        target_id=target if label else "",
        source_id=donor if label else "",
        pair_id=f"{source.unique(person)}/{name.split('_')[0].split('.')[0]}",
        leak_group=leak_group(target),
    )
    return sound_alone.checked(source, video)


def _people(person: str, stem: str, method: str) -> _People:
    """Donors by a file's name: the first id is a swap's face, the last one a lip-sync's voice.

    The csv's columns target1 and target2 hold other things in places.
    """
    found = _PERSON.findall(stem)
    voice = found.pop() if stem.endswith(_SYNC) and found else ""
    face = found[0] if method in _SWAPS and found else ""
    return _People(person, face, voice)


ADAPTER = Adapter(
    name="fakeavceleb",
    expects=(
        f"{META} and one or more of {', '.join(_TYPES)} below the root, with "
        "<race>/<gender>/<person>/<video>.mp4 in them"
    ),
    read=_read,
    options={
        "donors": Option(
            "any = people whose face or voice was put in may be in another split; same_split = "
            "such fakes are rejected",
            "any",
            ("any", "same_split"),
        ),
    },
    title="FakeAVCeleb v1.2",
    licence="research only, by agreement",
    access="https://github.com/DASH-Lab/FakeAVCeleb: a form",
    expected=(
        Total(500, {"label": 0, "audio_fake": 0}),
        Total(500, {"label": 0, "audio_fake": 1}, note="0 where datasets.audio_only is exclude"),
        Total(9_709, {"label": 1, "audio_fake": 0}),
        Total(10_835, {"label": 1, "audio_fake": 1}, note="listed in 10,857 lines"),
        *(
            Total(count, {"label": 1, "audio_fake": audio_fake, "method": method})
            for audio_fake, counts in enumerate(
                (
                    {"wav2lip": 5_015, "fsgan": 3_964, "faceswap": 730},
                    {"wav2lip": 4_587, "fsgan-wav2lip": 3_553, "faceswap-wav2lip": 2_695},
                )
            )
            for method, count in counts.items()
        ),
    ),
)
