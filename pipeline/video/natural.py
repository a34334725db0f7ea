"""The order of images that somebody numbered: 10 comes after 9."""

import re


def natural(name: str) -> list[tuple[str, int, str]]:
    """Sort key of a file name: runs of digits count as numbers, and 007 comes before 7."""
    return [(text, int(digits or -1), digits) for text, digits in re.findall(r"(\D*)(\d*)", name)]
