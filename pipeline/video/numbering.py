"""Where a picture of MPEG-1 or MPEG-2 is missing, from the numbers that they carry.

Each picture tells its place in the order of showing (``temporal_reference``, modulo 1024), counted
from the header of its group. A P picture refers to the I or P picture stored before, a B picture
to the two between which it is shown. So where numbers do not follow on each other, one may be
missing to which those that follow refer. (ISO/IEC 13818-2, 6.1.1.11 and 6.3.9)
"""

_PICTURE, _GROUP, _EXTENSION = b"\0\0\1\0", b"\0\0\1\xb8", b"\0\0\1\xb5"
_WHOLE = 3
"""``picture_structure`` of a frame; fields have 1 and 2."""
_I, _P, _B = 1, 2, 3
_MODULO = 1024


class PictureNumbers:
    """Follows the pictures of one stream in order of storing.

    Args:
        reorders: whether B pictures may come.
    """

    def __init__(self, *, reorders: bool) -> None:
        self._reorders = reorders
        # Numbers of the last two that are no B pictures, and of the last B picture since.
        self._before: int | None = None
        self._latest: int | None = None
        self._between: int | None = None

    def missing(self, head: bytes) -> bool:
        """Whether one is missing before this picture, or before the one stored before it.

        Leading B pictures of a group may be cut off, and of one that lacks its end, nobody knows.

        Args:
            head: of a packet; the header of its picture is missing where it is a rest of one.
        """
        at = head.find(_PICTURE)
        if not 0 <= at < len(head) - 5:
            return self._latest is not None
        number, kind = head[at + 4] << 2 | head[at + 5] >> 6, head[at + 5] >> 3 & 7
        if kind == _I or 0 <= head.find(_GROUP) < at:
            self._before, self._latest, self._between = None, number, None
            return kind != _I
        last = self._between if kind == _B else self._latest
        if self._latest is None or (number == last and _is_field(head, at)):
            return False  # the second one of a picture
        return (self._of_b if kind == _B else self._of_p)(number, self._latest)

    def _of_b(self, number: int, latest: int) -> bool:
        follows = _steps(number, latest) > 0
        if self._between is not None:
            follows = follows and _steps(self._between, number) > 0
        elif self._before is not None:
            follows = follows and _steps(self._before, number) == 1
        self._between = number
        return not follows

    def _of_p(self, number: int, latest: int) -> bool:
        follows = _steps(latest, number) > 0 if self._reorders else _steps(latest, number) == 1
        if self._before is not None and self._between is None:
            follows = follows and _steps(self._before, latest) == 1
        self._before, self._latest, self._between = latest, number, None
        return not follows


def _is_field(head: bytes, at: int) -> bool:
    extension = head.find(_EXTENSION, at)
    return 0 <= extension < len(head) - 6 and head[extension + 6] & 3 != _WHOLE


def _steps(earlier: int, later: int) -> int:
    """From one number to another; below 0 where it lies before."""
    return (later - earlier + _MODULO // 2) % _MODULO - _MODULO // 2
