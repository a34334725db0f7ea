"""What the audits find, read from the tables of a project, as text and for the page."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from pipeline import tables
from pipeline.audit import near_duplicates, parts
from pipeline.audit.findings import Finding, in_order, in_short, of_kind
from pipeline.audit.videos import audit
from pipeline.config.params import Params

WIDTH = 100
"""Columns of the text; ids are never broken."""
MAX_FINDINGS = 50
"""In the page."""

_VIDEOS = (
    *("video_id", "dataset", "split", "label", "method", "fingerprint", "outside"),
    *("identity", "target_id", "source_id", "pair_id", "leak_group"),
)


@dataclass(frozen=True)
class Audit:
    """All findings, the worst first."""

    findings: tuple[Finding, ...]
    faces: bool
    """Whether there was a table of faces to look through."""

    @property
    def shown(self) -> tuple[Finding, ...]:
        """Findings on the page."""
        return self.findings[:MAX_FINDINGS]

    @property
    def short(self) -> str:
        """How many there are, in words; "" where there is none."""
        return in_short(self.findings)


def gather(manifests: Path) -> Audit:
    """Audits the tables in a folder: videos, rejects of ``scan`` and, where they are there, faces.

    Raises UserError where a table is absent or damaged.
    """
    videos = tables.read(manifests / "videos.parquet", "videos", _VIDEOS)
    refused = manifests / "rejected/scan.parquet"
    rejected = tables.from_rows("rejected", [])
    if refused.is_file():
        rejected = tables.read(refused, "rejected")
    findings = audit(videos, rejected)
    findings += parts.findings(parts.read(manifests))
    path = manifests / "faces.parquet"
    if path.is_file():
        faces = tables.read(path, "faces", ["face_id", "video_id", "phash"])
        # Videos may have gone since their faces were found.
        faces = faces.filter(pc.is_in(faces["video_id"], value_set=videos["video_id"]))
        findings += near_duplicates.near_duplicates(videos, faces).findings
    return Audit(tuple(in_order(findings)), path.is_file())


def failing(found: Audit, params: Params) -> list[Finding]:
    """Findings of a kind that the parameters say is to ``fail``."""
    rules = params.datasets.audit
    verdicts = {
        "leak": rules.leak,
        "duplicate": rules.duplicate,
        "conflict": rules.conflict,
        "balance": rules.balance,
        near_duplicates.KIND: params.balance.audit,
    }
    kinds = [kind for kind, verdict in verdicts.items() if verdict == "fail"]
    return [finding for kind in kinds for finding in of_kind(found.findings, kind)]


def text(found: Audit, failed: Sequence[Finding]) -> str:
    """The findings to read in a terminal; ``failed`` are those that are to fail."""
    lines = [_entry(finding) for finding in found.findings]
    if not found.faces:
        lines.append("Faces were not looked at: there are none yet (`dvc repro faces`).")
    lines.append(f"{found.short}." if found.findings else "Nothing was found.")
    if failed:
        kinds = ", ".join(sorted({finding.kind for finding in failed}))
        lines.append(f"The parameters say that these are to fail: {kinds}.")
    return "\n\n".join(lines)


def _entry(finding: Finding) -> str:
    head = f"{finding.severity}, {finding.kind}: {_printable(finding.what)}."
    lines = textwrap.wrap(head, WIDTH, subsequent_indent="  ", break_long_words=False)
    some = (
        "These are" if finding.count == len(finding.ids) else f"{finding.count:,} in all, such as"
    )
    lines += [f"  {some}:", *(f"    {_printable(one)}" for one in finding.ids)]
    lines += textwrap.wrap(finding.advice, WIDTH, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(lines)


def _printable(words: str) -> str:
    """Characters that a terminal would act upon are spelt out."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in words)
