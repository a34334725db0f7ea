"""Kinds of values that several sections of the parameters share."""

from dataclasses import dataclass
from typing import Annotated

from pipeline.config.strict import Matching

NAME = Matching(
    "[A-Za-z0-9][A-Za-z0-9_-]*",
    "a name of letters, digits, _ and -, beginning with a letter or digit",
)
"""Grammar of dataset and run names: safe in a path, a tar member and a shell."""

Name = Annotated[str, NAME]
NonEmpty = Annotated[str, Matching("(?s).+", "text that is not empty")]
Sha256 = Annotated[
    str,
    Matching("([0-9A-Fa-f]{64})?", '64 hexadecimal digits in quotes, or ""'),
]


@dataclass(frozen=True)
class Weights:
    """A weights file, folder or pack name, and the SHA-256 it must have."""

    path: str = ""
    """Both are "" for methods that need no weights."""
    sha256: Sha256 = ""
