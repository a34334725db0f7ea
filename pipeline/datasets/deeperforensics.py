"""DeeperForensics-1.0: swaps of actors' faces onto the clips of FaceForensics++.

Rules:

- ``manipulated_videos/<variant>/<clip>_<actor>.mp4``: the clip of FaceForensics++ is the target,
  the actor the source, whose face is shown. A variant is a method of its own: one swap, with and
  without distortions, and one with another post-processing.
- The reals are the YouTube originals of FaceForensics++, from a second root that the adapter
  ``faceforensics`` can read. ``source_videos`` are what the faces were learned from, no reals, and
  are never read.
- ``split: official`` takes ``lists/splits``, which are by actor and list fakes; a real goes with
  the fake of its clip. These splits cut across those of FaceForensics++: where that is trained on,
  clips leak.
- ``split: ffpp_test`` takes the clips that are test in FaceForensics++, reals and fakes, all as
  test, as the SJEDD paper does. The other clips are ``excluded``.
- ``split: ffpp_random`` takes the same reals, and the fakes of 140 clips that ``split_seed`` draws
  from all 1,000: the released code of the SJEDD paper draws its 140 fakes at random.
- What a split file lists and a variant's folder lacks is ``missing``; a variant that was never
  downloaded is no fault.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from faceshards.fields import SPLITS
from pipeline.datasets import faceforensics, ff_splits, folders, lists, shared_ids, splits
from pipeline.datasets.base import Adapter, Option, Rejected, Source, Total, Video, wrong_root
from pipeline.datasets.lists import CrossCheck
from pipeline.errors import UserError

VARIANTS = (
    "end_to_end",
    *(f"end_to_end_level_{level}" for level in range(1, 6)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{number}_distortions" for number in range(2, 5)),
    "reenact_postprocess",
)
_VIDEOS = "manipulated_videos"
_SPLITS = "lists/splits"
_NAME = re.compile(r"([0-9]{3})_([MW][0-9]{3})")
_REMEDY = "Take the official files."
_OTHER_CLIP = "its clip is not in the split (option split)"
_ORIGINALS = re.compile(r"(^|/)(youtube|[Oo]riginal)/")


def _read(source: Source) -> Iterator[Video | Rejected]:
    own = [i for i, root in enumerate(source.roots) if (root / _VIDEOS).is_dir()]
    if not own:
        raise wrong_root(source, source.roots[0], ADAPTER)
    official = source.options["split"] == "official"
    fakes = _official(source, [source.roots[i] for i in own]) if official else {}
    clips = {name[:3]: split for name, split in fakes.items()} if official else _ffpp_test(source)
    drawn = _drawn(source) if source.options["split"] == "ffpp_random" else clips
    for index in own:
        for variant in folders.subfolders(source.roots[index] / _VIDEOS):
            path = source.path(index, f"{_VIDEOS}/{variant}")
            if variant not in VARIANTS:
                yield Rejected(path, "unsupported_media", "not a variant of DeeperForensics-1.0")
            elif source.options["variant"] in ("all", variant):
                yield from _variant(source, index, variant, fakes, drawn)
            else:
                yield Rejected(path, "excluded", "by option variant")
    for index in range(len(source.roots)):
        if index not in own:
            yield from _reals(source, index, clips)


def _variant(
    source: Source, index: int, variant: str, fakes: Mapping[str, str], clips: Mapping[str, str]
) -> Iterator[Video | Rejected]:
    """Fakes of one variant. ``fakes``: official split by name; empty where ``clips`` decide."""
    folder = source.roots[index] / _VIDEOS / variant
    unlisted = ("inconsistent", f"in no file of {_SPLITS}") if fakes else None
    check = CrossCheck(fakes, unlisted)
    for name in folders.files(folder):
        path = source.path(index, f"{_VIDEOS}/{variant}/{name}")
        match = _NAME.fullmatch(folders.stem(name))
        if not folders.is_video(name):
            yield Rejected(path, "unsupported_media", "not the suffix of a video")
        elif match is None:
            yield Rejected(path, "inconsistent", "the name is not clip_actor, such as 000_M101")
        elif not fakes and match[1] not in clips:
            yield Rejected(path, "excluded", _OTHER_CLIP)
        else:
            split = fakes.get(match[0], "test")
            yield check.reject(path, match[0], f"{variant} {match[0]}") or _fake(
                source, folder / name, path, split, variant, match[1], match[2]
            )
    for name, split in check.missing():
        path = source.path(index, f"{_VIDEOS}/{variant}/{name}.mp4")
        yield Rejected(path, "missing", f"listed in {_SPLITS}/{split}.txt")


def _fake(
    source: Source, file: Path, path: str, split: str, variant: str, clip: str, actor: str
) -> Video:
    target, donor = shared_ids.ffpp(clip), source.unique(actor)
    return Video(
        file=file,
        path=path,
        split=split,
        label=1,
        method=variant,
        identity=donor,
        target_id=target,
        source_id=donor,
        pair_id=source.unique(clip),
        leak_group=shared_ids.leak_group(target, donor),
    )


def _reals(source: Source, index: int, clips: Mapping[str, str]) -> Iterator[Video | Rejected]:
    """The originals among what the adapter of FaceForensics++ finds in one root."""
    adapter = faceforensics.ADAPTER
    options = {key: source.options[key] for key in adapter.options}
    whole = adapter.read(Source(source.name, (source.roots[index],), options, source.params))
    for item in whole:
        if not _ORIGINALS.search(item.path):
            continue
        clip = folders.stem(item.path)
        moved = replace(item, path=source.path(index, item.path))
        if isinstance(moved, Rejected):
            if clip in clips or not shared_ids.FFPP_ID.fullmatch(clip):
                yield moved
        elif clip in clips:
            yield replace(moved, split=clips[clip], leak_group=shared_ids.ffpp(clip))
        else:
            yield Rejected(moved.path, "excluded", _OTHER_CLIP)


def _ffpp_test(source: Source) -> dict[str, str]:
    """The clips that are test in FaceForensics++."""
    pairs = ff_splits.find(source, source.roots)
    return {clip: split for clip, split in pairs.split.items() if split == "test"}


def _drawn(source: Source) -> dict[str, str]:
    """As many clips of FaceForensics++ as its test split has, drawn from all of them."""
    pairs = ff_splits.find(source, source.roots)
    seed = source.params.split_seed
    order = sorted(pairs.split, key=lambda clip: splits.place(seed, f"deeperforensics/{clip}"))
    return dict.fromkeys(order[: len(_ffpp_test(source))], "test")


def _official(source: Source, roots: list[Path]) -> dict[str, str]:
    """Split of each fake by its name, from train to test."""
    for root in roots:
        files = {split: root / _SPLITS / f"{split}.txt" for split in SPLITS}
        if all(file.is_file() for file in files.values()):
            break
    else:
        near = lists.nearby(source, *(f"{split}.txt" for split in SPLITS))
        step = f"Move those of {near.parent} there" if near else "Unpack the lists there"
        raise UserError(
            f"Dataset {source.name}: train.txt, val.txt and test.txt are not in {_SPLITS} below "
            f"{', '.join(map(str, roots))}. {step}, or set option split: ffpp_test."
        )
    found: dict[str, str] = {}
    for split, file in files.items():
        for number, line in lists.read_lines(source, file, _REMEDY):
            name = folders.stem(line)
            if not _NAME.fullmatch(name) or found.setdefault(name, split) != split:
                raise UserError(
                    f"Dataset {source.name}: {file}, line {number}: {line[:80]!r} is no name of a "
                    f"video, such as 000_M101.mp4, or in two splits. {_REMEDY}"
                )
    return found


ADAPTER = Adapter(
    name="deeperforensics",
    title="DeeperForensics-1.0",
    expects=(
        "manipulated_videos/<variant>/000_M101.mp4 and lists/splits/ below one root, and, for the "
        "reals, FaceForensics++ below another"
    ),
    read=_read,
    options={
        **faceforensics.ADAPTER.options,
        "split": Option(
            "official = lists/splits; ffpp_test = the test clips of FaceForensics++ alone; "
            "ffpp_random = the same reals, and fakes of as many clips drawn by datasets.split_seed",
            "official",
            ("official", "ffpp_test", "ffpp_random"),
        ),
        "variant": Option(
            "one folder of manipulated_videos, or all of them", "all", ("all", *VARIANTS)
        ),
    },
    licence="its Terms of Use: non-commercial research",
    access="https://github.com/EndlessSora/DeeperForensics-1.0 (a form)",
    expected=(
        Total(11_000, {"label": 1}, {"split": "official", "variant": "all"}),
        Total(703, {"method": VARIANTS[0], "split": "train"}, {"split": "official"}),
        Total(96, {"method": VARIANTS[0], "split": "val"}, {"split": "official"}),
        Total(201, {"method": VARIANTS[0], "split": "test"}, {"split": "official"}),
        Total(1_000, {"label": 0}, {"split": "official"}, note="from FaceForensics++"),
        Total(140, {"method": VARIANTS[0]}, {"split": "ffpp_test"}),
        Total(140, {"label": 0}, {"split": "ffpp_test"}, note="from FaceForensics++"),
        Total(140, {"method": VARIANTS[0]}, {"split": "ffpp_random"}),
        Total(140, {"label": 0}, {"split": "ffpp_random"}, note="from FaceForensics++"),
    ),
)
