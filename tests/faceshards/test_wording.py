import pytest

from faceshards.wording import counted


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 files are"), (1, "1 file is"), (2, "2 files are"), (21, "21 files are")]
)
def test_words_fit_their_number(n, words):
    assert counted(n, "file is", "files are") == words


def test_most_words_get_an_s():
    assert [counted(n, "problem") for n in (1, 2)] == ["1 problem", "2 problems"]
