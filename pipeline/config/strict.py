"""Plain data into frozen dataclasses, strictly: nothing unknown, nothing coerced, nothing ignored.

A field's type says what it takes: ``int``, ``float``, ``bool``, ``str``, ``Literal``, unions of
them, tuples, dataclasses and named dataclasses. ``Annotated[float, Range(0, 1)]`` narrows a value.
Every error names the file, the dotted key, the value and what is allowed.
"""

import dataclasses
import difflib
import math
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

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

    def chosen(self, data: object, at: str, file: str) -> type:
        """The dataclass of the kind that a section names. Raises UserError where it names none."""
        if not isinstance(data, Mapping):
            raise UserError(f"{file}: {at} is {show(data)}, but must be a section with a kind.")
        if "kind" not in data:
            raise UserError(f"{file}: {at}.kind is missing; it has no default.")
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in self.of:
            allowed = " or ".join(f'"{name}"' for name in self.of)
            raise UserError(f"{file}: {at}.kind is {show(kind)}, but must be {allowed}.")
        return self.of[kind]


class _MisfitError(Exception):
    """A value does not fit its type; ``where`` is the place inside it, such as ``[2]``."""

    def __init__(self, value: object, hint: Any, where: str = "", problem: str = "") -> None:
        super().__init__(where)
        self.where = where
        self.words = problem or f"is {show(value)}, but must be {_allowed(hint)}"


def build(cls: type[T], data: object, file: str) -> T:
    """Build the dataclass ``cls`` from nested mappings; absent keys keep their defaults.

    Raises UserError for an unknown key (with the nearest valid one), a wrong type or a value out of
    range; the message starts with ``file``.
    """
    try:
        built: T = _build(cls, cls, data, "", file)
    except _MisfitError as misfit:
        raise UserError(f"{file}: {misfit.where} {misfit.words}.") from None
    return built


def show(value: object) -> str:
    """Repeat a value as an error message does: on one line, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _build(root: type, cls: Any, data: object, at: str, file: str) -> Any:
    values = _values(root, cls, data, at, file)
    for one in dataclasses.fields(cls):
        required = one.default is one.default_factory is dataclasses.MISSING
        if required and one.name not in values:
            raise UserError(f"{file}: {_dotted(at, one.name)} is missing; it has no default.")
    return cls(**values)


def _values(root: type, cls: Any, data: object, at: str, file: str) -> dict[str, Any]:
    """Convert what a section says of a dataclass's fields."""
    if not isinstance(data, Mapping):
        what = at or "the file"
        raise UserError(
            f"{file}: {what} is {show(data)}, but must be a section of keys and values."
        )
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in dataclasses.fields(cls)]
    for key in data:
        if key not in names:
            wrong = _dotted(at, str(key))
            raise UserError(
                f"{file}: {wrong} is not a parameter. {_suggest(root, names, str(key), at)}"
            )
    values: dict[str, Any] = {}
    for name, value in data.items():
        where = _dotted(at, name)
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _build(root, hints[name], value, where, file)
            continue
        if isinstance(kinds := getattr(hints[name], "__metadata__", [None])[0], Kinds):
            cls_of_kind = kinds.chosen(value, where, file)
            values[name] = _build(root, cls_of_kind, value, where, file)
            continue
        if get_origin(_plain(hints[name])) is dict:
            values[name] = _build_named(root, hints[name], value, where, file)
            continue
        try:
            values[name] = _convert(hints[name], value)
        except _MisfitError as misfit:
            misfit.where = where + misfit.where
            raise
    return values


def _plain(hint: Any) -> Any:
    """The hint without ``Annotated``."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _build_named(root: type, hint: Any, data: object, at: str, file: str) -> dict[str, Any]:
    """Build a section whose keys are names: of dataclasses, or of :class:`Changes` to one."""
    name_hint, cls = get_args(_plain(hint))
    make = _build
    if get_origin(hint) is Annotated:
        make, cls = _values, hint.__metadata__[0].of
    if not isinstance(data, Mapping):
        raise UserError(f"{file}: {at} is {show(data)}, but must be a section of named entries.")
    for name in data:
        try:
            _convert(name_hint, name)
        except _MisfitError as misfit:
            raise UserError(f"{file}: the name {at}.{name} {misfit.words}.") from None
    return {name: make(root, cls, entry, f"{at}.{name}", file) for name, entry in data.items()}


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
    siblings = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    elsewhere = [path for path in _paths(root, "") if path.rsplit(".", 1)[-1] == key]
    if elsewhere:
        return f"Nearest valid key: {elsewhere[0]}."
    if siblings:
        return f"Nearest valid key: {_dotted(at, siblings[0])}."
    return f"Valid keys{' of ' + at if at else ''}: {', '.join(names)}."


def _paths(cls: Any, at: str) -> Iterator[str]:
    """Dotted paths of all keys below a dataclass."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        where = _dotted(at, field.name)
        yield where
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _paths(hints[field.name], where)
