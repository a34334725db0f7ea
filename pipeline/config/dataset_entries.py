"""Entries of manifests/datasets.yaml: what data there is, where, and what part of it counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.config import strict
from pipeline.config.values import NAME, NonEmpty
from pipeline.errors import UserError

_Into = Literal["train", "val", "test"]

LEFT_OUT = ""
"""What a split becomes whose rows are left out."""


@dataclass(frozen=True)
class SplitMapping:
    """Which split the rows of each official split go to."""

    train: _Into = "train"
    val: _Into = "val"
    test: _Into = "test"


@dataclass(frozen=True)
class Roles:
    """Which rows of a dataset count, and as what. A rule on fakes is no rule on reals."""

    splits: Mapping[str, str] = field(default_factory=lambda: SPLIT_RULES["official"])
    """Official split to the split that its rows go to; :data:`LEFT_OUT` for none."""
    methods: tuple[NonEmpty, ...] = ()
    """Manipulations that count; () = all."""
    exclude_methods: tuple[NonEmpty, ...] = ()
    """Manipulations that do not count."""

    def counts(self, method: str) -> bool:
        """Whether fakes of a method count."""
        return method not in self.exclude_methods and (not self.methods or method in self.methods)


SPLIT_RULES: Mapping[str, Mapping[str, str]] = {
    "official": {"train": "train", "val": "val", "test": "test"},
    "test_only": {"train": LEFT_OUT, "val": LEFT_OUT, "test": "test"},
    "all_test": {"train": "test", "val": "test", "test": "test"},
}
"""By the word that ``splits`` has in datasets.yaml."""


@dataclass(frozen=True)
class DatasetEntry:
    """One entry of manifests/datasets.yaml."""

    name: str
    adapter: str
    roots: tuple[Path, ...]
    """Empty for a dataset that is listed and not there yet: its roles are known, it has no rows."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What the adapter takes besides: ``compression``, ``manifest`` …"""
    roles: Roles = field(default_factory=Roles)


@dataclass(frozen=True)
class _Given:
    """The keys of roles in an entry, where ``splits`` is a word."""

    splits: Literal["official", "test_only", "all_test"] = "official"
    methods: tuple[NonEmpty, ...] = ()
    exclude_methods: tuple[NonEmpty, ...] = ()


_OF_ROLES = ("splits", "methods", "exclude_methods")


def read_entry(path: Path, name: object, entry: object) -> DatasetEntry:
    """One entry of the file ``path``, checked. Raises UserError naming file and entry."""
    if not isinstance(name, str) or not NAME.holds(name):
        raise UserError(f"{path}: the dataset name {strict.show(name)} must be {NAME}.")
    if not isinstance(entry, dict):
        raise UserError(f"{path}: {name} is {strict.show(entry)}, but must hold adapter and root.")
    options = dict(entry)
    adapter = options.pop("adapter", None)
    if not isinstance(adapter, str) or not adapter:
        keys = ", ".join(map(str, entry))
        raise UserError(
            f"{path}: {name} names no adapter (its keys: {keys}). "
            "Add `adapter: csv` or that of a public dataset."
        )
    roots = _roots(path, name, options)
    given = {key: options.pop(key) for key in _OF_ROLES if key in options}
    return DatasetEntry(name, adapter, roots, options, _roles(f"{path}: {name}", given))


def _roots(path: Path, name: str, options: dict[str, Any]) -> tuple[Path, ...]:
    """Takes ``root`` or ``roots`` out of the entry's keys."""
    if ("root" in options) == ("roots" in options):
        raise UserError(f"{path}: {name} needs either root or roots, one of the two.")
    given = options.pop("roots") if "roots" in options else [options.pop("root")]
    if given in (None, [None]):
        return ()  # `root:` alone: listed, and not there yet
    if not isinstance(given, list) or not given:
        raise UserError(
            f"{path}: {name}.roots is {strict.show(given)}, but must be a list of folders."
        )
    for root in given:
        if not isinstance(root, str) or not root:
            raise UserError(
                f"{path}: {name}: the root {strict.show(root)} is not the path of a folder."
            )
    roots = tuple(Path(root).expanduser() for root in given)
    if len(set(roots)) != len(roots):
        raise UserError(f"{path}: {name}.roots names a folder twice.")
    return roots


def _roles(where: str, given: dict[str, Any]) -> Roles:
    splits = given.get("splits")
    if isinstance(splits, Mapping):
        mapping = strict.build(SplitMapping, given.pop("splits"), f"{where}.splits")
        rule: Mapping[str, str] = vars(mapping)
    known = strict.build(_Given, given, where)
    if not isinstance(splits, Mapping):
        rule = SPLIT_RULES[known.splits]
    both = [method for method in known.methods if method in known.exclude_methods]
    if both:
        raise UserError(
            f"{where}: {both[0]} is in methods and in exclude_methods. Take it out of one of them."
        )
    return Roles(rule, known.methods, known.exclude_methods)
