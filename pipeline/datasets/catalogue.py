"""All adapters in words, and the datasets that are listed: what was found of what a copy has."""

import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from faceshards.wording import suggestion
from pipeline.config.dataset_entries import DatasetEntry
from pipeline.datasets import roles
from pipeline.datasets.base import Adapter, Total, adapters, compare
from pipeline.errors import UserError

WIDTH = 100
"""Columns of the text."""

_NONE_OF_OURS = "your own"
_ANCHORS = re.compile(r"\(\?i\)|\(\^\|/\)|[\^$\\]")
"""What of a regular expression means nothing to a person who looks for a folder."""
_LABELS = {0: "real", 1: "fake"}
_SHOWN = 12
"""Most reasons of one dataset for which rows were left out."""


def overview(
    entries: Mapping[str, DatasetEntry], videos: pa.Table | None, rejected: pa.Table | None = None
) -> str:
    """Every adapter with what it expects on disk, licence and access; then the listed datasets.

    Args:
        entries: datasets.yaml by dataset name.
        videos: the table ``videos``; None before the first ``scan``.
        rejected: rejects of ``scan``, of which some were left out by the dataset's roles.

    Raises:
        UserError: an entry names an unknown adapter, or has an unknown, missing or wrong option.
    """
    parts = [_summary(adapter) for _, adapter in sorted(adapters().items())]
    parts.append(_listed(entries, videos))
    if videos is not None:
        for name, entry in entries.items():
            told = [f"{name}:", *_roles(entry, rejected), _found(entry, videos)]
            parts.append("\n".join(told))
    parts.append("More about one of them: `faceshards datasets NAME`, and docs/datasets.md.")
    return "\n\n".join(parts)


def detail(
    name: str,
    entries: Mapping[str, DatasetEntry],
    videos: pa.Table | None,
    rejected: pa.Table | None = None,
) -> str:
    """One adapter, or one listed dataset with all its totals; a dataset's name wins.

    Raises:
        UserError: there is neither, or as :func:`overview`.
    """
    known = adapters()
    entry = entries.get(name)
    adapter = known.get(entry.adapter if entry else name)
    if adapter is None:
        missing = entry.adapter if entry else name
        raise UserError(
            f"There is no dataset or adapter {missing!r}. {suggestion(missing, {*known, *entries})}"
        )
    parts = [_summary(adapter)]
    if adapter.options:
        options = [_field(f"  {key}", _option(adapter, key), 16) for key in adapter.options]
        parts.append("\n".join(["options in datasets.yaml", *options]))
    if entry is None:
        totals = [(_kind(total), f"{total.count:,}", total.note) for total in adapter.expected]
        if totals:
            parts.append(_table(("a full copy has", "rows", "note"), totals, "lrl"))
        return "\n\n".join(parts)
    roots = "\n".join(f"  {root}" for root in entry.roots)
    where = f", in\n{roots}" if roots else ", without a root yet"
    parts.append(f"dataset {name}, adapter {adapter.name}{where}")
    parts.append("\n".join([*_roles(entry, rejected), _found(entry, videos)]))
    return "\n\n".join(parts)


def _summary(adapter: Adapter) -> str:
    lines = [f"{adapter.name}: {adapter.title or 'any collection, described by a CSV file'}"]
    about = {
        "on disk": adapter.expects,
        "licence": adapter.licence or _NONE_OF_OURS,
        "access": adapter.access or _NONE_OF_OURS,
    }
    return "\n".join([*lines, *(_field(f"  {word}", words) for word, words in about.items())])


def _field(name: str, words: str, width: int = 11) -> str:
    head = f"{name:<{width}} "
    indent = " " * len(head)
    wrapped = textwrap.wrap(words, WIDTH - len(indent), break_on_hyphens=False) or [""]
    if len(name) > width:
        return "\n".join([name, *(indent + line for line in wrapped)])
    return head + f"\n{indent}".join(wrapped)


def _option(adapter: Adapter, key: str) -> str:
    option = adapter.options[key]
    words = option.meaning
    if option.among:
        words += f"; one of {', '.join(word for word in option.among if word)}"
    if option.default is None:
        return f"{words}; must be given"
    return f"{words}; default {option.default}" if option.default else words


def _listed(entries: Mapping[str, DatasetEntry], videos: pa.Table | None) -> str:
    if not entries:
        return "manifests/datasets.yaml lists no dataset."
    if videos is None:
        names = ", ".join(f"{name} ({entry.adapter})" for name, entry in entries.items())
        return (
            f"Listed in manifests/datasets.yaml: {names}.\nWhat is there of them is known after "
            "`dvc repro scan`."
        )
    rows = []
    for name, entry in entries.items():
        totals = compare(entry, videos, _expected(entry))
        differ = sum(total.count != found for total, found in totals)
        verdict = "no official totals"
        if totals:
            verdict = f"{differ} of {len(totals)} totals differ" if differ else "as a full copy"
        own = videos.filter(pc.equal(videos["dataset"], name))["label"].to_numpy()
        if not len(own):
            verdict = "none known; run `dvc repro scan`" if entry.roots else "no root yet"
        counts = (len(own), int((own == 0).sum()), int((own == 1).sum()))
        rows.append((name, entry.adapter, *(f"{count:,}" for count in counts), verdict))
    head = ("dataset", "adapter", "videos", "real", "fake", "beside a full copy")
    return "In manifests/datasets.yaml:\n" + _table(head, rows, "llrrrl")


def _found(entry: DatasetEntry, videos: pa.Table | None) -> str:
    if videos is None:
        return "What is there of it is known after `dvc repro scan`."
    totals = compare(entry, videos, _expected(entry))
    own = videos.filter(pc.equal(videos["dataset"], entry.name)).num_rows
    if not own:
        if not entry.roots:
            return "It has no root in manifests/datasets.yaml, so it is not read."
        return "No video of it is known. What is there is known after `dvc repro scan`."
    if not totals:
        return f"{own:,} videos were found; there are no official totals to hold them against."
    rows = [
        (
            _kind(total),
            f"{found:,}",
            f"{total.count:,}",
            f"{found - total.count:+,}" if found != total.count else "",
            total.note if found != total.count else "",
        )
        for total, found in totals
    ]
    return _table(("rows", "found", "full copy", "difference", "note"), rows, "lrrrl")


def _expected(entry: DatasetEntry) -> list[Total]:
    """Totals of a full copy, as far as they hold for what the entry's roles leave."""
    known = adapters().get(entry.adapter)
    return roles.expected(known.expected, entry.roles) if known else []


def _roles(entry: DatasetEntry, rejected: pa.Table | None) -> list[str]:
    """Lines on what the entry lets count, and how many rows were left out for what reason."""
    lines = [f"  {words}" for words in [roles.words(entry.roles)] if words]
    if rejected is None:
        return lines
    mine = pc.and_(
        pc.equal(rejected["reason"], roles.EXCLUDED),
        pc.starts_with(rejected["id"], f"{entry.name}/"),
    )
    left_out = Counter(rejected.filter(mine)["detail"].to_pylist())
    return lines + [f"  left out: {n:,} ({why})" for why, n in left_out.most_common(_SHOWN)]


def _kind(total: Total) -> str:
    """What a total counts, in words."""
    words = [
        _LABELS[value] if column == "label" and isinstance(value, int) else str(value)
        for column, value in total.kind.items()
    ]
    if total.path:
        words.append(f"in {_ANCHORS.sub('', total.path)}")
    words += [f"({key}: {value})" for key, value in total.options.items() if value]
    return " ".join(words) or "all"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Aligned columns; the last one is wrapped to what is left of the width."""
    lines = [head, *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths)
    text = []
    for line in lines:
        cells = [
            f"{cell:>{width}}" if side == "r" else f"{cell:<{width}}"
            for cell, width, side in zip(line, widths, align, strict=False)
        ]
        last = textwrap.wrap(line[-1], max(24, WIDTH - indent)) or [""]
        text.append("  ".join([*cells, last[0]]).rstrip())
        text += [" " * indent + more for more in last[1:]]
    return "\n".join(text)
