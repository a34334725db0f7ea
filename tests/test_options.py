"""Every key that params.yaml and datasets.yaml take is read somewhere."""

import ast
import dataclasses
import typing
from pathlib import Path

from pipeline.config.params import Params
from pipeline.datasets import base

ROOT = Path(__file__).parents[1]
_FILES = [file for room in ("pipeline", "stages") for file in (ROOT / room).rglob("*.py")]


def _nodes(files):
    return (node for file in files for node in ast.walk(ast.parse(file.read_text())))


def _attributes_and_words(files):
    """Names of attributes that are read, and texts such as a loop over names of fields has."""
    for node in _nodes(files):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _fields(cls, above=()):
    """Dotted names and plain names of all keys below a dataclass."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        path = (*above, field.name)
        yield ".".join(path), field.name
        for inside in _dataclasses(hints[field.name]):
            if len(path) < 6:
                yield from _fields(inside, path)


def _dataclasses(hint):
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield hint
    for part in (*typing.get_args(hint), *getattr(hint, "__metadata__", ())):
        yield from _dataclasses(getattr(part, "of", part))
        if isinstance(of := getattr(part, "of", None), dict):
            yield from (cls for kind in of.values() for cls in _dataclasses(kind))


def test_every_parameter_is_read():
    keys = dict(_fields(Params))
    assert {"faces.detector", "frames.per_dataset", "runs.optimizer"} <= set(keys)
    read = set(_attributes_and_words(_FILES))
    assert [path for path, name in keys.items() if name not in read] == []


def test_every_option_of_an_adapter_is_read():
    """As ``options["key"]``; ``version`` alone is only compared with the totals of a full copy."""
    read = {
        node.slice.value
        for node in _nodes(_FILES)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    }
    totals = {
        key
        for adapter in base.adapters().values()
        for total in adapter.expected
        for key in total.options
    }
    for name, adapter in base.adapters().items():
        assert [key for key in adapter.options if key not in read | totals] == [], name
