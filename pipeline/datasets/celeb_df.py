"""Celeb-DF v1, v2 and Celeb-DF++.

Rules:

- Files named in List_of_testing_videos.txt are test, all others train. The labels in that list are
  inverted (1 = real). The folder decides; a video whose line contradicts it is rejected.
- There is no official val split and none is made, unless option ``val: ours`` asks for one: then
  about 15 % of the people whose clips are in train, drawn by ``datasets.split_seed``, give all
  videos made of their train clips. Who was swapped in may be in both parts, as in the official
  split, which is not identity-disjoint either.
- ``id<A>_id<B>_<clip>``: A is the target (whose video it is), B the source (whose face went in).
  Clips of YouTube-real have five digits and no known person.
- Celeb-DF++ has its fakes in folders by method. Names of other forms than the above are kept:
  people are taken from the ids in them, in the same order. A talking face
  (``id<A>_<clip>_test_<sound>``) shows one person and has no second one.
- Option ``protocol`` is one of the three of Celeb-DF++. GF-eval trains on what Celeb-DF v2 has and
  tests on the list; GFQ-eval tests on the list in a compressed copy; GFD-eval tests on the list and
  trains on other datasets. What is not part of it is ``excluded``.
- All methods of Celeb-DF++ but those of FaceSwap and LivePortrait are face crops already. Option
  ``part`` reads one kind alone, so that each can be a dataset of its own in params.yaml.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pipeline.datasets import folders, lists, splits
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
from pipeline.datasets.shared_ids import celeb_df, ids_in, leak_group
from pipeline.errors import UserError

LIST = "List_of_testing_videos.txt"
FAKE = "Celeb-synthesis"
"""Folder and method of the fakes of v1 and v2."""

_REALS = {"celeb-real": "Celeb-real", "youtube-real": "YouTube-real"}
_FAKES = FAKE.lower()
_KINDS = {"faceswap": "source", "facereenact": "target", "talkingface": "target"}
"""Folders of Celeb-DF++ that hold one folder per method, and whom those methods show."""
_NOT_CROPPED = "liveportrait"
"""The one method outside FaceSwap whose videos are no face crops."""
_ORIGINAL = ("celeb-df", "celeb-df-v2")
"""What Celeb-DF++ calls the fakes of v2."""
_LEVELS = tuple(folders.MEDIA)
_LINE = re.compile(r"([01])\s+(\S.*)")
_CELEB = re.compile(r"id\d+_\d{4}", re.ASCII)
_YOUTUBE = re.compile(r"\d{5}", re.ASCII)
_SWAP = re.compile(r"id\d+_id\d+_\d{4}", re.ASCII)
_TALKING = re.compile(r"(id\d+)_(\d{4})_test_.+", re.ASCII)
_PERSON = re.compile(r"(?<![A-Za-z0-9])id\d+(?![A-Za-z0-9])", re.ASCII)
_VAL_SHARES = (85, 15, 0)
_REMEDY = "Take the official file."
_BOTH = -1
"""What a list that contradicts itself says of a video."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    if source.options["protocol"] == "GFQ-eval" and not source.options["compression"]:
        raise UserError(
            f"Dataset {source.name}: protocol GFQ-eval tests compressed copies. Say with option "
            "compression how this one was compressed, such as c35."
        )
    listed = read_list(source, lists.find(source, LIST, "what is test"))
    check = CrossCheck(listed, unlisted=None)
    places: dict[str, str] = {}
    for index, root in enumerate(source.roots):
        kinds = list(_folders(root))
        if not kinds:
            raise wrong_root(source, root, ADAPTER)
        for relative, method, shows in kinds:
            if source.options["part"] not in ("all", _part(relative)):
                yield Rejected(source.path(index, relative), "excluded", "by option part")
                continue
            level, media = folders.medium(root / relative)
            relative = f"{relative}/{level}".rstrip("/")
            group = _group(relative)
            places.setdefault(group, source.path(index, relative))
            for entry in folders.entries(root / relative):
                path = source.path(index, f"{relative}/{entry.name}")
                name = entry.name if media == "frames" else folders.stem(entry.name)
                if media == "frames" and not folders.is_dir(entry):
                    yield Rejected(path, "unsupported_media", "not the folder of a video")
                    continue
                said = listed.get((group, name))
                yield check.reject(path, (group, name), f"{method} {name}", media) or _video(
                    source, entry.path, path, media, method, shows, said
                )
    for (group, name), _ in check.missing():
        if group in places:
            yield Rejected(f"{places[group]}/{name}.mp4", "missing", f"listed in {LIST}")


def _folders(root: Path) -> Iterator[tuple[str, str, str]]:
    """Folders of videos below a root: relative path, method, and whose identity it shows."""
    for top in folders.subfolders(root):
        if top.lower() in _REALS:
            yield top, REAL_METHOD, "target"
        elif top.lower() == _FAKES:
            kinds = [kind for kind in folders.subfolders(root / top) if kind.lower() in _KINDS]
            for kind in kinds:
                yield from _methods(root, f"{top}/{kind}")
            if not kinds:
                yield top, FAKE, "source"
        elif top.lower() in _KINDS:
            yield from _methods(root, top)


def _methods(root: Path, kind: str) -> Iterator[tuple[str, str, str]]:
    shows = _KINDS[PurePosixPath(kind).name.lower()]
    for method in folders.subfolders(root / kind):
        yield f"{kind}/{method}", FAKE if method.lower() in _ORIGINAL else method, shows


def _part(folder: str) -> str:
    """Whether the videos of a folder are whole pictures or face crops, as option ``part`` says."""
    *above, method = folder.lower().split("/")
    whole = method == _NOT_CROPPED or not {"facereenact", "talkingface"} & set(above)
    return "whole" if whole else "crops"


def _group(folder: str) -> str:
    """What a folder is, however a copy spells it: its last name, levels of media left out."""
    names = [name for name in folder.lower().split("/") if name not in _LEVELS]
    return _FAKES if names[-1] in _ORIGINAL else names[-1]


def read_list(source: Source, file: Path) -> dict[tuple[str, str], int]:
    """Label of every test video by group and name: 1 = fake, -1 = listed with both labels.

    The group is the folder in lower case. Raises UserError for a file of another form.
    """
    labels: dict[tuple[str, str], int] = {}
    for number, line in lists.read_lines(source, file, _REMEDY):
        match = _LINE.fullmatch(line)
        if match is None or "/" not in match[2]:
            raise UserError(
                f"Dataset {source.name}: {file}, line {number}: {line[:80]!r} is not a label "
                f"and a path, such as '1 YouTube-real/00170.mp4'. {_REMEDY}"
            )
        folder, _, name = match[2].rpartition("/")
        key, label = (_group(folder), folders.stem(name)), 1 - int(match[1])
        labels[key] = label if labels.get(key, label) == label else _BOTH
    return labels


def _video(
    source: Source, file: str, path: str, media: str, method: str, shows: str, said: int | None
) -> Video | Rejected:
    name = PurePosixPath(file).name if media == "frames" else folders.stem(file)
    real = method == REAL_METHOD
    people = [celeb_df(person) for person in _PERSON.findall(name)]
    forms = (_CELEB, _YOUTUBE) if real else (_SWAP,)
    # Celeb-DF++ documents no other names, so only those of v1 and v2 can be wrong.
    if method in (REAL_METHOD, FAKE) and not any(form.fullmatch(name) for form in forms):
        form = "id<A>_<clip> or five digits" if real else "id<A>_id<B>_<clip>"
        return Rejected(path, "inconsistent", f"the name is not {form}")
    if said is not None and said != int(not real):
        words = {0: "real", 1: "fake", _BOTH: "real and fake"}
        return Rejected(path, "inconsistent", f"{LIST} says {words[said]}")
    clip = name
    if talking := None if real else _TALKING.fullmatch(name):
        people = people[:1]
        clip = f"{talking[1]}_{talking[2]}"
    elif not real:
        clip = f"{name.split('_')[0]}_{name.rsplit('_', 1)[-1]}" if _SWAP.fullmatch(name) else ""
    target, donor = (*people, "", "")[:2]
    split = "train" if said is None else "test"
    if why := _outside(source, split, method):
        return Rejected(path, "excluded", why)
    if split == "train" and source.options["val"] == "ours":
        split = splits.draw(source.params.split_seed, target or f"youtube-real/{clip}", _VAL_SHARES)
    return Video(
        file=file,
        path=path,
        split=split,
        label=int(not real),
        method=method,
        identity=donor if shows == "source" else target,
        target_id="" if real else target,
        source_id=donor,
        pair_id=source.unique(clip),
        leak_group=leak_group(*people, *ids_in(name)) or source.unique(clip),
        compression=source.options["compression"],
        # Reenactment shows the target as somebody else moved: other pictures altogether.
        aligned=not real and shows == "source",
        media=media,
    )


def _outside(source: Source, split: str, method: str) -> str:
    """Why a video is no part of the protocol; "" where it is."""
    protocol = source.options["protocol"]
    if protocol == "official" or split == "test":
        return ""
    if protocol == "GF-eval":
        return "" if method in (REAL_METHOD, FAKE) else f"{protocol} does not train on {method}"
    return f"{protocol} trains on nothing of it"


_CELEB_PATHS, _YOUTUBE_PATHS = "(?i)celeb-real/", "(?i)youtube-real/"


def _totals(version: str, reals: int, youtube: int, fakes: int) -> tuple[Total, ...]:
    options = {"version": version, "protocol": "official", "part": "all"}
    return (
        Total(reals, {"label": 0}, options, _CELEB_PATHS),
        Total(youtube, {"label": 0}, options, _YOUTUBE_PATHS),
        Total(fakes, {"method": FAKE}, options),
    )


_V2_REALS = (
    Total(108, {"label": 0, "split": "test"}, {"version": "v2", "part": "all"}, _CELEB_PATHS),
    Total(70, {"label": 0, "split": "test"}, {"version": "v2", "part": "all"}, _YOUTUBE_PATHS),
    Total(340, {"label": 1, "split": "test"}, {"version": "v2", "part": "all"}),
)
_PLUS_TEST = {
    **dict.fromkeys(("BlendFace", "GHOST", "HifiFace", "InSwapper", "MobileFaceSwap"), 200),
    **dict.fromkeys(("SimSwap", "UniFace", "DaGAN", "FSRT", "HyperReenact", "LIA"), 200),
    **dict.fromkeys(("LivePortrait", "MCNET", "TPSMM"), 200),
    **dict.fromkeys(("AniTalker", "EchoMimic", "EDTalk", "FLOAT", "IP_LAP"), 300),
    **dict.fromkeys(("Real3DPortrait", "SadTalker"), 300),
}

ADAPTER = Adapter(
    name="celeb_df",
    expects=(
        f"Celeb-real/id0_0000.mp4, YouTube-real/00170.mp4, {FAKE}/id1_id0_0007.mp4 and {LIST} "
        f"below the root (Celeb-DF++: {FAKE}/FaceSwap/<method>/, FaceReenact/, TalkingFace/); "
        "videos/, frames/<video>/ or images/<video>/ may lie between"
    ),
    read=_read,
    options={
        "version": Option("which totals a full copy has", "v2", ("v1", "v2", "++")),
        "val": Option(
            "none = as published; ours = held out of train by people", "none", ("none", "ours")
        ),
        "protocol": Option(
            "official = the list is test and the rest train; or one of the three of Celeb-DF++",
            "official",
            ("official", "GF-eval", "GFQ-eval", "GFD-eval"),
        ),
        "part": Option(
            "of Celeb-DF++: all; whole = videos of whole pictures; crops = those of face crops",
            "all",
            ("all", "whole", "crops"),
        ),
        "compression": Option("how this copy was compressed, for its column, such as c35", ""),
    },
    title="Celeb-DF (v1, v2, Celeb-DF++)",
    licence="Terms to Use Celeb-DF: research only",
    access=(
        "https://github.com/yuezunli/celeb-deepfakeforensics and "
        "https://github.com/OUC-VAS/Celeb-DF-PP: a form for each version"
    ),
    expected=(
        *_totals("v1", 158, 250, 795),
        *_totals("v2", 590, 300, 5_639),
        *_V2_REALS,
        *_totals("++", 590, 300, 5_639),
        Total(178, {"label": 0, "split": "test"}, {"version": "++", "part": "all"}),
        *(
            Total(count, {"method": method, "split": "test"}, {"version": "++", "part": "all"})
            for method, count in _PLUS_TEST.items()
        ),
    ),
)
