"""A CSV of one's own videos from folders ``real/`` and ``fake/``: labels, people, splits.

- The label is the folder. The method is the first folder below ``fake/``, where there is one.
- Who is in a real video: the folder it lies in below ``real/``; else its name without the numbers
  at its end (``alice_01``, ``alice_02``), as long as there are at least three such names and none
  of them has more than half of these videos, since it would be a word such as ``video`` then; else
  each name is somebody of its own.
- A fake belongs to everybody whose name is in its name or folders as whole words: ``000_003`` to
  ``000`` and ``003``, ``alice_faceswap`` to ``alice``. Where nobody's is, to who its folder or its
  own name says.
- People whom a fake ties together are one group; a group is in one split.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from faceshards import keys
from faceshards.fields import SPLITS
from faceshards.wording import counted
from pipeline.datasets.base import VIDEO_SUFFIXES
from pipeline.errors import UserError

LABELS = ("real", "fake")
SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}
"""Of the videos of each label; as close as whole groups allow."""

Words = tuple[str, ...]


@dataclass(frozen=True)
class OwnVideo:
    """One file, as its path tells it."""

    path: str
    """POSIX, relative to the folder that holds ``real/`` and ``fake/``."""
    label: str
    method: str
    """Empty for reals, and for fakes that lie in no folder of a method."""
    folders: Words
    """Below ``real/``, or below the method's folder."""
    group: str = ""
    """People of one group are in one split."""

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return PurePosixPath(self.path).stem


def own_videos(root: Path) -> tuple[list[OwnVideo], str]:
    """All videos below ``root/real`` and ``root/fake`` with their groups, by path.

    Returns:
        The videos, and a sentence that says how people were told apart.

    Raises:
        UserError: a folder is missing or holds no video.
    """
    paths = list(_paths(root))
    people = {path.parts[1] for path in paths if path.parts[0] == "real" and len(path.parts) > 2}
    return grouped([_told(path, people) for path in paths])


def _paths(root: Path) -> Iterator[PurePosixPath]:
    for label in LABELS:
        found = [
            PurePosixPath(path.relative_to(root).as_posix())
            for path in (root / label).rglob("*")
            if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
        ]
        found = [path for path in found if not any(part.startswith(".") for part in path.parts)]
        if not found:
            raise UserError(
                f"{root / label} holds no videos. Real videos are expected below {root}/real, "
                f"fakes below {root}/fake, in folders of any depth."
            )
        yield from sorted(found)


def _told(path: PurePosixPath, people: set[str]) -> OwnVideo:
    label, *folders = path.parts[:-1]
    # A folder of fakes that is named as a person's folder of reals is that person's.
    has_method = label == "fake" and folders and folders[0] not in people
    method = folders.pop(0) if has_method else ""
    return OwnVideo(str(path), label, method, tuple(folders))


def grouped(videos: Sequence[OwnVideo]) -> tuple[list[OwnVideo], str]:
    """Videos with their groups, and how people were told apart; see the rules above."""
    loose = [video.stem for video in videos if video.label == "real" and not video.folders]
    sizes = Counter(_without_numbers(stem) for stem in loose)
    largest = max(sizes.values(), default=0)
    by_name = len(sizes) >= 3 and largest <= len(loose) / 2

    def own_name(video: OwnVideo) -> Words:
        if video.folders:
            return _words(video.folders[0])
        return _without_numbers(video.stem) if by_name else _words(video.stem)

    people = {own_name(video) for video in videos if video.label == "real"}
    named = [[own_name(v)] if v.label == "real" else _mentioned(v, people) for v in videos]
    named = [names or [own_name(v)] for v, names in zip(videos, named, strict=True)]
    group_of = _tied(named)
    groups = [" ".join(group_of[names[0]]) for names in named]
    made = [replace(v, group=group) for v, group in zip(videos, groups, strict=True)]
    return made, _how(loose, by_name)


def _how(loose: Sequence[str], by_name: bool) -> str:
    if not loose:
        return "Each folder below real/ counts as one person."
    if by_name:
        return "Names of real videos without the numbers at their end count as people."
    return (
        "Each name of a real video counts as one person. If somebody is in several videos, put "
        "theirs into one folder below real/."
    )


def _words(text: str) -> Words:
    return tuple(re.findall(r"[^\W_]+", text.casefold())) or (text,)


def _without_numbers(stem: str) -> Words:
    words = _words(stem)
    while len(words) > 1 and words[-1].isdigit():
        words = words[:-1]
    return words


def _mentioned(video: OwnVideo, people: set[Words]) -> list[Words]:
    """Who is named in a fake's name or folders, as whole words."""
    found = set()
    for text in (*video.folders, video.stem):
        words = _words(text)
        ends = range(1, len(words) + 1)
        found |= {words[start:end] for end in ends for start in range(end)} & people
    return sorted(found)


def _tied(named: Iterable[Sequence[Words]]) -> dict[Words, Words]:
    """Each name's group: the first, in order of the alphabet, of the names it is tied to."""
    group_of: dict[Words, Words] = {}
    members: dict[Words, set[Words]] = {}
    for names in named:
        groups = {group_of.get(name, name) for name in names}
        together = set(names).union(*(members.pop(group, set()) for group in groups))
        first = min(together)
        members[first] = together
        group_of |= dict.fromkeys(together, first)
    return group_of


def split(sizes: Mapping[str, Mapping[str, int]], seed: int) -> dict[str, str]:
    """Split of each group: the same for any order of groups.

    Groups are dealt from the largest on, those of one size in an order drawn by seed and name. Each
    goes to a split that has none of its labels yet; else where, with half of it counted (as votes
    become seats by Sainte-Lague), the most is missing of what that split is to have.

    Args:
        sizes: per group, number of videos per label.
        seed: another one gives other splits.
    """
    totals: Counter[str] = Counter()
    for size in sizes.values():
        totals.update(size)
    have = {name: Counter[str]() for name in SHARES}

    def need(name: str, size: Mapping[str, int]) -> tuple[int, float]:
        new = [label for label, n in size.items() if n and not have[name][label]]
        shares = {
            label: (have[name][label] + n / 2) / totals[label] for label, n in size.items() if n
        }
        return len(new), -sum(size[label] * n / SHARES[name] for label, n in shares.items())

    found = {}
    for group in sorted(
        sizes, key=lambda g: (-sum(sizes[g].values()), keys.hash64(f"{seed}/{g}"), g)
    ):
        size = sizes[group]
        found[group] = max(SHARES, key=lambda name: need(name, size))
        have[found[group]].update(size)
    return found


def table(videos: Sequence[OwnVideo], seed: int) -> tuple[str, str]:
    """Text of the CSV, and what to tell about its splits."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for video in videos:
        sizes[video.group][video.label] += 1
    splits = split(sizes, seed)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "label", "split", "method", "group"])
    counts: Counter[tuple[str, str]] = Counter()
    for video in videos:
        where = splits[video.group]
        counts[where, video.label] += 1
        rows.writerow([video.path, video.label, where, video.method, video.group])
    told = [_told_counts(name, counts) for name in SPLITS]
    lacking = [f"{n} has no {kind}" for n in SPLITS for kind in LABELS if not counts[n, kind]]
    sentences = [f"{counted(len(sizes), 'group')} of people: {'; '.join(told)}."]
    if lacking:
        sentences.append(
            f"{', '.join(lacking)} videos: too few groups of people can be told apart to fill "
            "every split. Name people in folders, or change the splits in the CSV by hand."
        )
    return text.getvalue(), " ".join(sentences)


def _told_counts(name: str, counts: Mapping[tuple[str, str], int]) -> str:
    return f"{name} {counts[name, 'real']} real, {counts[name, 'fake']} fake"
