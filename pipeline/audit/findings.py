"""What an audit finds, and what is done about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from faceshards.fields import SPLITS
from faceshards.wording import counted
from pipeline.errors import UserError

SEVERITIES = ("error", "warning", "note")
"""``error``: scores will be wrong. ``warning``: look at it. ``note``: good to know; a note is never
acted upon."""
SHOWN = 6
"""Most ids of a finding."""


@dataclass(frozen=True)
class Finding:
    """Something that an audit found, told once for all rows that it concerns."""

    kind: str
    """``leak``, ``duplicate``, ``conflict``, ``balance``, ``missing``,
    ``near_duplicate`` or ``parts``."""
    severity: str
    what: str
    """One sentence without a full stop."""
    count: int
    """How many rows it concerns."""
    ids: tuple[str, ...]
    """At most :data:`SHOWN` of them."""
    advice: str
    """What to do, in one sentence."""


@dataclass(frozen=True, order=True)
class Place:
    """One split of one dataset."""

    split: int
    """Place in fields.SPLITS."""
    dataset: str

    def __str__(self) -> str:
        return f"{SPLITS[self.split]} of {self.dataset}"


def severity_between(one: Place, other: Place) -> str:
    """How bad it is that two places share what they should not."""
    train_and_test = {SPLITS[one.split], SPLITS[other.split]} == {"train", "test"}
    return "error" if train_and_test else "warning"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The worst first."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.kind, -f.count, f.what))


def of_kind(findings: Iterable[Finding], kind: str) -> list[Finding]:
    """Those of a kind that can be acted upon: no notes."""
    return [f for f in findings if f.kind == kind and f.severity != "note"]


def in_short(findings: Sequence[Finding]) -> str:
    """How many there are: ``2 errors, 1 note``; "" where there is none."""
    counts = [(sum(f.severity == severity for f in findings), severity) for severity in SEVERITIES]
    return ", ".join(counted(n, word) for n, word in counts if n)


def refuse(findings: Sequence[Finding], setting: str) -> None:
    """Raises UserError where there are findings; ``setting`` is the parameter that says fail."""
    if findings:
        first = findings[0]
        more = f" ({len(findings) - 1} more such findings)" if len(findings) > 1 else ""
        raise UserError(
            f"{setting} is `fail`, and {first.what}: {', '.join(first.ids)}{more}. {first.advice}"
        )
