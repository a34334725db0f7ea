"""Plain data into frozen dataclasses, strictly: nothing unknown, nothing coerced, nothing ignored.

A field's type says what it takes: ``int``, ``float``, ``bool``, ``str``, ``Literal``, unions of
them, tuples, dataclasses and named dataclasses. ``Annotated[float, Range(0, 1)]`` narrows a value.
Every error names the file, the dotted key, the value and what is allowed.
"""

import dataclasses
import math
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from faceshards.wording import nearest
from pipeline.errors import UserError

T = TypeVar("T")

SHOWN_CHARS = 60
"""Longest value repeated in an error message."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, inclusive; ``above`` is exclusive."""

    low: float = -math.inf
    high: float = math.inf
    above: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the number lies within the bounds."""
        return self.low <= value <= self.high and (self.above is None or value > self.above)

    def __str__(self) -> str:
        if self.above is not None:
            most = "" if self.high == math.inf else f" and at most {self.high:.12g}"
            return f"above {self.above:.12g}{most}"
        if self.high == math.inf:
            return f"of at least {self.low:.12g}"
        return f"from {self.low:.12g} to {self.high:.12g}"


@dataclass(frozen=True)
class Matching:
    """The whole text matches a pattern; ``words`` say so to a person."""

    pattern: str
    words: str

    def holds(self, value: str) -> bool:
        """Whether the text matches."""
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class Changes:
    """Marks a ``dict[Name, dict[str, Any]]``: under each name, some keys of a dataclass.

    They are checked as the dataclass's own. A key that is absent stays absent.
    """

    of: type


@dataclass(frozen=True)
class Kinds:
    """Marks a dataclass that has several kinds: the section's own key ``kind`` names one."""

    of: Mapping[str, type]
    """The dataclass of each kind; it has a field ``kind``."""


class _MisfitError(Exception):
    """A value does not fit its type; ``where`` is the place inside it, such as ``[2]``."""

    def __init__(self, value: object, hint: Any, where: str = "", problem: str = "") -> None:
        super().__init__(where)
        self.where = where
        self.words = problem or f"is {show(value)}, but must be {_allowed(hint)}"


def build(cls: type[T], data: object, file: str) -> T:
    """Build the dataclass ``cls`` from nested mappings; absent keys keep their defaults.

    Raises UserError that tells all mistakes at once: unknown keys (with the nearest valid one),
    wrong types, values out of range; the message starts with ``file``.
    """
    reader = _Reader(cls)
    built: T = reader.build(cls, data, "")
    refuse(file, reader.problems)
    return built


def refuse(file: str, problems: Sequence[str]) -> None:
    """Raises UserError where there are problems: one as a sentence, several as a list."""
    if len(problems) == 1:
        raise UserError(f"{file}: {problems[0]}")
    if problems:
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UserError(f"{file} has {len(problems)} mistakes:{lines}")


def show(value: object) -> str:
    """Repeat a value as an error message does: on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


class _Reader:
    """Reads nested mappings and collects what is wrong with them, one sentence each."""

    def __init__(self, root: type) -> None:
        self._root = root
        self.problems: list[str] = []

    def build(self, cls: Any, data: object, at: str) -> Any:
        """An instance of a dataclass; None where it cannot be made for want of a value."""
        values = self.values(cls, data, at)
        given = data if isinstance(data, Mapping) else {}
        missing = False
        for one in dataclasses.fields(cls):
            required = one.default is one.default_factory is dataclasses.MISSING
            if required and one.name not in values:
                missing = True
                if one.name not in given and isinstance(data, Mapping):
                    where = _dotted(at, one.name)
                    self.problems.append(f"{where} is missing; it has no default.")
        return None if missing else cls(**values)

    def values(self, cls: Any, data: object, at: str) -> dict[str, Any]:
        """What a section says of a dataclass's fields; those that are wrong are left out."""
        if not isinstance(data, Mapping):
            what = at or "the file"
            self.problems.append(
                f"{what} is {show(data)}, but must be a section of keys and values."
            )
            return {}
        hints = get_type_hints(cls, include_extras=True)
        names = [field.name for field in dataclasses.fields(cls)]
        values: dict[str, Any] = {}
        for name, value in data.items():
            where = _dotted(at, str(name))
            if name not in names:
                near = _suggest(self._root, names, str(name), at)
                self.problems.append(f"{where} is not a parameter. {near}")
            elif dataclasses.is_dataclass(hints[name]):
                values[name] = self.build(hints[name], value, where)
            elif isinstance(kinds := getattr(hints[name], "__metadata__", [None])[0], Kinds):
                built = self.of_kind(kinds, value, where)
                if built is not None:
                    values[name] = built
            elif get_origin(_plain(hints[name])) is dict:
                values[name] = self.named(hints[name], value, where)
            else:
                try:
                    values[name] = _convert(hints[name], value)
                except _MisfitError as misfit:
                    self.problems.append(f"{where}{misfit.where} {misfit.words}.")
        return values

    def of_kind(self, kinds: Kinds, data: object, at: str) -> Any:
        """An instance of the dataclass that a section's own ``kind`` names; None for none."""
        allowed = " or ".join(f'"{name}"' for name in kinds.of)
        if not isinstance(data, Mapping):
            self.problems.append(f"{at} is {show(data)}, but must be a section with a kind.")
        elif "kind" not in data:
            self.problems.append(f"{at}.kind is missing; it has no default.")
        elif not isinstance(data["kind"], str) or data["kind"] not in kinds.of:
            self.problems.append(f"{at}.kind is {show(data['kind'])}, but must be {allowed}.")
        else:
            return self.build(kinds.of[data["kind"]], data, at)
        return None

    def named(self, hint: Any, data: object, at: str) -> dict[str, Any]:
        """A section whose keys are names: of dataclasses, or of :class:`Changes` to one."""
        name_hint, cls = get_args(_plain(hint))
        make = self.build
        if get_origin(hint) is Annotated:
            make, cls = self.values, hint.__metadata__[0].of
        if not isinstance(data, Mapping):
            self.problems.append(f"{at} is {show(data)}, but must be a section of named entries.")
            return {}
        for name in data:
            try:
                _convert(name_hint, name)
            except _MisfitError as misfit:
                self.problems.append(f"the name {at}.{name} {misfit.words}.")
        if not dataclasses.is_dataclass(cls):
            return self.numbers(cls, data, at)
        return {name: make(cls, entry, f"{at}.{name}") for name, entry in data.items()}

    def numbers(self, hint: Any, data: Mapping[str, Any], at: str) -> dict[str, Any]:
        """A section whose keys are names and whose values are plain."""
        values: dict[str, Any] = {}
        for name, value in data.items():
            try:
                values[name] = _convert(hint, value)
            except _MisfitError as misfit:
                self.problems.append(f"{at}.{name} {misfit.words}.")
        return values


def _plain(hint: Any) -> Any:
    """The hint without ``Annotated``."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _convert(hint: Any, value: object) -> Any:
    """Turn the value into the hint's type, or raise _MisfitError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        converted = _convert_plain(hint, arguments[0], value)
        if not all(rule.holds(converted) for rule in arguments[1:]):
            raise _MisfitError(value, hint)
        return converted
    if origin in (Union, types.UnionType):
        for choice in arguments:
            try:
                return _convert(choice, value)
            except _MisfitError:
                continue
        raise _MisfitError(value, hint)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise _MisfitError(value, hint)
        return value
    if origin is tuple:
        return _convert_list(hint, arguments[0], value)
    return _convert_plain(hint, hint, value)


def _convert_plain(hint: Any, plain: type, value: object) -> Any:
    # bool is a subclass of int in Python, but `workers: true` is a mistake.
    if isinstance(value, bool) or plain is bool:
        if type(value) is plain:
            return value
        raise _MisfitError(value, hint)
    if plain is float and isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    if plain in (int, str) and isinstance(value, plain):
        return value
    raise _MisfitError(value, hint)


def _convert_list(hint: Any, of: Any, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _MisfitError(value, hint)
    converted: list[Any] = []
    for place, item in enumerate(value):
        try:
            one = _convert(of, item)
        except _MisfitError as misfit:
            misfit.where = f"[{place}]{misfit.where}"
            raise
        if one in converted:
            raise _MisfitError(value, hint, problem=f"names {show(item)} twice")
        converted.append(one)
    return tuple(converted)


def _allowed(hint: Any) -> str:
    """Say in words what a hint takes."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        rules = " and ".join(str(rule) for rule in arguments[1:])
        return rules if arguments[0] is str else f"{_allowed(arguments[0])} {rules}"
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(choice) for choice in arguments)
    if origin is Literal:
        quoted = [f'"{choice}"' for choice in arguments]
        return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    if origin is tuple:
        return f"a list, each item {_allowed(arguments[0])}"
    words = {int: "a whole number", float: "a number", str: "text (in quotes)"}
    return words.get(hint, "true or false")


def _dotted(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _suggest(root: type, names: list[str], key: str, at: str) -> str:
    """Name the nearest valid key: the same name in another section, or a sibling by spelling."""
    sibling = nearest(key, names)
    elsewhere = [path for path in _paths(root, "") if path.rsplit(".", 1)[-1] == key]
    if elsewhere:
        return f"Nearest valid key: {elsewhere[0]}."
    if sibling:
        return f"Nearest valid key: {_dotted(at, sibling)}."
    return f"Valid keys{' of ' + at if at else ''}: {', '.join(names)}."


def _paths(cls: Any, at: str) -> Iterator[str]:
    """Dotted paths of all keys below a dataclass."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        where = _dotted(at, field.name)
        yield where
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _paths(hints[field.name], where)
