"""``faceshards datasets verify``: is the copy at hand the dataset that a list describes?"""

from pathlib import Path

from faceshards.wording import counted, suggestion
from pipeline import config
from pipeline.datasets import base, published
from pipeline.datasets.published import Comparison
from pipeline.errors import UserError

SAME, DIFFERENT, MORE = 0, 1, 3
"""Exit codes: as listed; something is missing or labelled otherwise; there are only more files."""
_SHOWN = 20
"""Most files of one kind that are named."""


def verify(name: str, against: Path, label_one_is: str) -> tuple[str, int]:
    """Compares a dataset of manifests/datasets.yaml with a published list.

    What the dataset's adapter finds on disk now is compared, whatever ``scan`` saw.

    Returns:
        What was found, in words, and the exit code.

    Raises:
        UserError: there is no such dataset, it has no root, or its adapter or the list cannot be
            used.
    """
    entries = config.load_datasets()
    if name not in entries:
        raise UserError(f"{config.DATASETS} has no dataset {name!r}. {suggestion(name, entries)}")
    entry = entries[name]
    if not entry.roots:
        raise UserError(f"Dataset {name} has no root in {config.DATASETS}: say where it lies.")
    listed = published.read_list(against, label_one_is)
    roots = tuple(root.absolute() for root in entry.roots)
    found = published.compare(listed, published.on_disk(base.read(entry), roots))
    return _text(name, against, len(listed), found), _code(found)


def _code(found: Comparison) -> int:
    if found.missing or found.otherwise:
        return DIFFERENT
    return MORE if found.extra else SAME


def _text(name: str, against: Path, listed: int, found: Comparison) -> str:
    lines = [
        f"{name} against {against}: {found.same} of {counted(listed, 'listed file')} as listed"
    ]
    if found.dropped_folders:
        folders = counted(found.dropped_folders, "leading folder")
        lines.append(f"{folders} of the listed paths left out")
    if found.not_compared:
        files = counted(found.not_compared, "file")
        lines.append(f"{files} there, whose label or fingerprint could not be compared")
    for title, names in (
        ("missing, listed and not here", found.missing),
        ("labelled otherwise, or with other content", found.otherwise),
        ("extra, here and not listed", found.extra),
    ):
        if names:
            lines.append(f"{title}: {len(names)}")
            lines += [f"  {one}" for one in sorted(names)[:_SHOWN]]
            if len(names) > _SHOWN:
                lines.append(f"  and {len(names) - _SHOWN} more")
    if _code(found) == SAME:
        lines.append("The copy and the list agree.")
    return "\n".join(lines)
