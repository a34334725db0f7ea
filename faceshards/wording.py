"""Small pieces of sentences: words that fit their number, the name that was meant."""

import difflib
from collections.abc import Iterable


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what it counts: ``1 file``, ``2 files``.

    Args:
        n: how many; 0 and up.
        one: the words after the number 1.
        many: those after any other; "" = ``one`` with an s.
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def nearest(word: str, known: Iterable[str], likeness: float = 0.5) -> str:
    """The known word that looks most like another one; "" where none does.

    Args:
        word: as it was written.
        known: what it may have meant.
        likeness: 0 to 1, share of the letters that must agree.
    """
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return near[0] if near else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known word, or all of them where none is near."""
    known = sorted(known)
    if near := nearest(word, known):
        return f"Did you mean {near}?"
    return f"There are: {', '.join(known)}." if known else "There is none to choose from."
