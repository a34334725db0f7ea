"""Lists and CSV files that somebody else wrote."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files import strict_text

MOST = 1 << 20
_CELLS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


def table(data, required=("path",), **more):
    return list(strict_text.table(data, MOST, required, **more))


def test_only_real_ends_of_lines_end_a_line():
    data = "\ufeffa\u2028b\r\nc\x0cd\re\n".encode()
    assert strict_text.lines(data, MOST) == ["a\u2028b", "c\x0cd", "e", ""]


@given(st.lists(_CELLS.filter(lambda text: not {"\r", "\n"} & set(text)), min_size=1))
def test_lines_come_back(written):
    data = "\n".join(written).encode()
    if not data.startswith(b"\xef\xbb\xbf"):
        assert strict_text.lines(data, MOST) == written


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a\nb\xff\n", "line 2 is not text in UTF-8"),
        (b"\xed\xa0\x80", "line 1 is not text in UTF-8"),  # half a character
        ("path\na.mp4\n".encode("utf-16-le"), "line 1 holds a zero byte"),
        (b"a\n\nb\0", "line 3 holds a zero byte"),
        (b"x" * (MOST + 1), f"at most {MOST} are read"),
    ],
)
def test_what_is_no_text(data, problem):
    with pytest.raises(ValueError, match=problem):
        strict_text.lines(data, MOST)
    with pytest.raises(ValueError, match=problem):
        table(data, ())


@given(st.lists(st.tuples(_CELLS, _CELLS), max_size=9))
def test_a_table_written_by_the_csv_module_comes_back(rows):
    text = io.StringIO()
    csv.writer(text).writerows([("path", "label"), *rows])
    found = table(text.getvalue().encode(), verbatim=("path",))
    assert [(row["path"], row["label"]) for _, row in found] == [(a, b.strip()) for a, b in rows]


def test_blanks_short_rows_and_empty_lines():
    data = b" path ,label,,\r\n a.mp4 , 1\r\n\r\nb.mp4,0,,,,\r\n"
    assert table(data, verbatim=("path",)) == [
        (2, {"path": " a.mp4 ", "label": "1", "": ""}),
        (4, {"path": "b.mp4", "label": "0", "": ""}),
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "must name column path, but has nothing"),
        (b"path;label\n", "must name column path, but has path;label"),
        (b"path,label,label\n", "column label is there twice"),
        (b"path,labels\n", r"unknown column labels\. Did you mean label\?"),
        (b"path,\n", r"unknown column \(no name\)"),
        (b"path,label\na.mp4,1,fake\n", "line 2: 3 cells, but the header has 2"),
        (b'path,label\na.mp4,1\n"b.mp4"x,1\n', "line 3 is no line of a CSV file"),
        (b'path,label\na.mp4,"1\n', "is no line of a CSV file: unexpected end"),
        (b"path,label\n" + b"x" * 200_000, "line 2 is no line of a CSV file: field larger"),
    ],
)
def test_what_is_no_table(data, problem):
    with pytest.raises(ValueError, match=problem):
        table(data, known=("path", "label"))


def test_columns_without_a_name():
    """FakeAVCeleb's folders have none; two of them could not be told apart."""
    assert table(b"path,,\na,,\n") == [(2, {"path": "a", "": ""})]
    assert table(b"path,\na,b\n", ("path", "")) == [(2, {"path": "a", "": "b"})]
    with pytest.raises(ValueError, match=r"column \(no name\) is there twice"):
        table(b"path,,\na,b,c\n", ("path", ""))
    with pytest.raises(ValueError, match="must name a column without a name"):
        table(b"path\na\n", ("path", ""))
