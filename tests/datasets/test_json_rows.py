import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets import json_rows as module
from pipeline.datasets.base import Source
from pipeline.datasets.json_rows import json_rows
from pipeline.errors import UserError

SOURCE = Source("ds", (), {})
ROWS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers()),
        max_size=4,
    ),
    max_size=12,
)


def read(file: Path):
    return list(json_rows(SOURCE, file, "Take another."))


@given(rows=ROWS, indent=st.sampled_from([None, 1]), chunk=st.integers(1, 40))
def test_rows_are_those_of_the_standard_library(rows, indent, chunk, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "rows.json"
    file.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_CHARS", chunk)
        assert read(file) == json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with"),
        ('{"a": 1}', "does not begin with"),
        ('[{"a": 1}', "entry 2"),
        ('[{"a": 1}, {"b": ', "entry 2"),
        ("[1]", "entry 1: it is not an object"),
        ('[{"a": 1, "a": 2}]', "repeats a key"),
        ('[{"a": NaN}]', "NaN"),
        ('[{"a": 1}] []', "behind the list"),
        ('[{"a": 1} {"b" 2}]', "entry 2"),
    ],
)
def test_unclear_lists_are_one_sentence(tmp_path, text, message):
    file = tmp_path / "rows.json"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read(file)
    assert str(caught.value).endswith("Take another.")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "rows.json").write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(UserError, match="not a JSON list"):
        read(tmp_path / "rows.json")
