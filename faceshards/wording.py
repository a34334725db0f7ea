"""Small words that fit their number."""


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what it counts: ``1 file``, ``2 files``.

    Args:
        n: how many; 0 and up.
        one: the words after the number 1.
        many: those after any other; "" = ``one`` with an s.
    """
    return f"{n} {one if n == 1 else many or f'{one}s'}"
