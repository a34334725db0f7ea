"""Strict JSON: against the standard library where it is clear, refused where it is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceshards.strict_json import parse

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(value=_VALUES, ascii_only=st.booleans())
def test_what_is_clear_is_read(value, ascii_only):
    assert parse(json.dumps(value, ensure_ascii=ascii_only).encode(), 1 << 20, 50) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a":{"b":[1,NaN]}}', "NaN at a/b/1"),
        ('{"a":1e999}', "infinite .* at a"),
        ('{"a":-Infinity}', "-Infinity at a"),
        ('{"x":{"a.mp4":1,"b":2,"a.mp4":3}}', "repeats a key: 'a.mp4'"),
        ('{"a":["\\ud800"]}', "half a character .* at a/0"),
        ('{"a":{"\\udc00":1}}', "half a character .* at a"),
        ('{"a":[[[[1]]]]}', "too deep at a/0/0"),
        ("[" * 100_000, "too deep"),
        ("[" * 100_000 + "]" * 100_000, "too deep"),
        ('{"a":' + "9" * 5000 + "}", "4300"),
        ('["' + "x" * 300 * 1024 + '"]', "at most 262144 are read"),
        ("", "Expecting value"),
    ],
)
def test_what_is_unclear_is_refused_with_its_key(text, problem):
    with pytest.raises(ValueError, match=problem):
        parse(text.encode(), 256 * 1024, 3)


def test_a_pair_of_surrogates_is_one_character():
    assert parse(rb'{"a":"\ud83d\ude00"}', 100, 3) == {"a": "\U0001f600"}
