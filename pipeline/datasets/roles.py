"""What of a dataset counts, and as what: ``splits``, ``methods``, ``exclude_methods`` of its entry.

They are alike for every adapter, and decided on what it says about its rows, before any file is
looked at. A row that is left out becomes a reject, ``excluded``, that says why.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from faceshards.fields import SPLITS
from faceshards.wording import suggestion
from pipeline.config.dataset_entries import LEFT_OUT, SPLIT_RULES, DatasetEntry, Roles
from pipeline.datasets.base import REAL_METHOD, Rejected, Total, Video, adapters
from pipeline.errors import UserError
from pipeline.labels.semantics import Semantics

EXCLUDED = "excluded"
"""Reject reason of a row that is left out."""


def apply(
    entry: DatasetEntry, items: Iterable[Video | Rejected], semantics: Semantics
) -> Iterator[Video | Rejected]:
    """What an adapter says about a dataset's files, by the roles that its entry gives them.

    Reals count whatever methods are named, except those that were filmed for the fakes of methods
    none of which counts (:attr:`Video.real_of`).

    Raises:
        UserError: a method is named that neither this dataset nor semantics.yaml knows.
    """
    roles = entry.roles
    found: set[str] = set()
    for item in items:
        if isinstance(item, Rejected):
            yield item
            continue
        if item.label:
            found.add(item.method)
        if why := _why_left_out(roles, item):
            yield Rejected(item.path, EXCLUDED, why)
            continue
        split = roles.splits[item.split]
        yield item if split == item.split else replace(item, split=split)
    _check_methods(entry, found, semantics)


def expected(totals: Iterable[Total], roles: Roles) -> list[Total]:
    """What is left of the totals of a full copy.

    Totals over rows of which some may be left out are dropped: they tell nothing. Those that become
    alike, since their splits become one, are added up.
    """
    merged: dict[tuple[object, ...], Total] = {}
    for total in totals:
        kind = dict(total.kind)
        if not _countable(total, roles):
            continue
        if "split" in kind:
            kind["split"] = roles.splits[str(kind["split"])]
        key = (tuple(kind.items()), tuple(total.options.items()), total.path)
        count = total.count + (merged[key].count if key in merged else 0)
        merged[key] = replace(total, kind=kind, count=count)
    return list(merged.values())


def words(roles: Roles) -> str:
    """The roles in a few words; "" for those of an entry that names none."""
    parts = []
    if roles.splits != SPLIT_RULES["official"]:
        parts.append(f"splits: {_rule(roles)}")
    if roles.methods:
        parts.append(f"methods: {', '.join(roles.methods)}")
    if roles.exclude_methods:
        parts.append(f"exclude_methods: {', '.join(roles.exclude_methods)}")
    return "; ".join(parts)


def _why_left_out(roles: Roles, video: Video) -> str:
    """Why a row does not count; "" where it does."""
    if roles.splits[video.split] == LEFT_OUT:
        return f"split {video.split}, but the entry has splits: {_rule(roles)}"
    if video.label:
        if video.method in roles.exclude_methods:
            return f"{video.method} is in exclude_methods"
        return "" if roles.counts(video.method) else f"{video.method} is not in methods"
    if video.real_of and not any(map(roles.counts, video.real_of)):
        return f"a real of {', '.join(video.real_of)} alone, which does not count"
    return ""


def _rule(roles: Roles) -> str:
    named = [name for name, rule in SPLIT_RULES.items() if rule == roles.splits]
    moved = ", ".join(f"{one}: {to}" for one, to in roles.splits.items() if to != one)
    return named[0] if named else f"{{{moved}}}"


def _countable(total: Total, roles: Roles) -> bool:
    """Whether a total holds for what the roles leave."""
    kind = total.kind
    left = [split for split in SPLITS if roles.splits[split] == LEFT_OUT]
    if left and ("split" not in kind or kind["split"] in left):
        return False
    if not (roles.methods or roles.exclude_methods):
        return True
    if kind.get("label") == 0 or kind.get("method") == REAL_METHOD:
        return not total.real_of or any(map(roles.counts, total.real_of))
    return "method" in kind and roles.counts(str(kind["method"]))


def _check_methods(entry: DatasetEntry, found: Collection[str], semantics: Semantics) -> None:
    if not (entry.roles.methods or entry.roles.exclude_methods):
        return
    known = set(found)
    for section in (entry.name, entry.adapter):
        known |= {m for m in semantics.methods.get(section, {}) if not m.startswith("any ")}
    for total in adapters()[entry.adapter].expected:
        known |= {str(total.kind["method"])} if "method" in total.kind else set()
    known.discard(REAL_METHOD)
    for key in ("methods", "exclude_methods"):
        for method in getattr(entry.roles, key):
            if method not in known:
                raise UserError(
                    f"Dataset {entry.name}: {key} in manifests/datasets.yaml names {method}, which "
                    f"it does not have. {suggestion(method, known)}"
                )
