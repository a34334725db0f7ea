"""What ``datasets.audit`` has done about findings: nothing, rows dropped, or a refusal.

Which row is dropped follows from one rule: what test needs stays, then what val needs; of equal
ones the smallest id.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.fields import SPLITS
from pipeline import tables
from pipeline.audit.findings import Finding, of_kind, refuse
from pipeline.audit.relations import ties
from pipeline.audit.videos import DROPPED, audit, same_bytes, split_codes
from pipeline.config.params import AuditParams


@dataclass(frozen=True)
class Audited:
    """A table ``videos`` without what was dropped."""

    videos: pa.Table
    rejected: pa.Table
    """Those of before, and what was dropped, sorted."""
    findings: list[Finding]
    """What is still there, the worst first."""


def apply(videos: pa.Table, rejected: pa.Table, params: AuditParams) -> Audited:
    """Drops what the parameters say, in the order conflict, duplicate, leak; audits the rest.

    Raises:
        UserError: a finding that is no note, of a kind that is to ``fail``.
    """
    rules = {"conflict": conflicting, "duplicate": superfluous, "leak": leaking}
    dropped: list[dict[str, str]] = []
    for kind, rule in rules.items():
        if getattr(params, kind) == "drop":
            why = rule(videos)
            stays = np.ones(videos.num_rows, bool)
            for row, detail in why.items():
                stays[row] = False
                path = f"{videos['dataset'][row]}/{videos['path'][row]}"
                dropped.append({"id": path, "reason": DROPPED + kind, "detail": detail})
            videos = videos.filter(pa.array(stays))
    if dropped:
        rejected = pa.concat_tables([rejected, tables.from_rows("rejected", dropped)])
        keys = [(name, "ascending") for name in ("id", "reason", "detail")]
        rejected = rejected.sort_by(keys)
    findings = audit(videos, rejected)
    for kind in ("conflict", "duplicate", "leak", "balance"):
        if getattr(params, kind) == "fail":
            refuse(of_kind(findings, kind), f"datasets.audit.{kind}")
    return Audited(videos, rejected, findings)


def conflicting(videos: pa.Table) -> dict[int, str]:
    """All rows whose bytes are there under both labels: nobody knows which one is right."""
    _, rows, mixed = same_bytes(videos)
    return {
        int(row): "the same bytes are there as real and as fake" for row in np.sort(rows[mixed])
    }


def superfluous(videos: pa.Table) -> dict[int, str]:
    """All but one row of the same bytes and label: test stays, then val, then the smallest id."""
    group, rows, mixed = same_bytes(videos)
    group, rows = group[~mixed], rows[~mixed]
    split = split_codes(videos)
    by_id = np.argsort(pc.sort_indices(videos["video_id"]).to_numpy(), kind="stable")
    order = np.lexsort((by_id[rows], -split[rows], group))
    group, rows = group[order], rows[order]
    kept = np.flatnonzero(np.r_[np.ones(len(group[:1]), bool), group[1:] != group[:-1]])
    keeper = np.repeat(rows[kept], np.diff(np.r_[kept, len(rows)]))
    ids = videos["video_id"]
    return {
        int(row): f"the same bytes as {ids[int(other)]}"
        for row, other in sorted(zip(rows, keeper, strict=True))
        if row != other
    }


def leaking(videos: pa.Table) -> dict[int, str]:
    """Rows that share a name with a row of a later split, which is itself not dropped."""
    known = ties(videos)
    split = split_codes(videos)
    name, video = known.name[~known.lent], known.video[~known.lent]
    order = np.lexsort((name, video))
    name, video = name[order], video[order]
    gone: dict[int, str] = {}
    here = np.ones(videos.num_rows, bool)
    for place in range(len(SPLITS) - 2, -1, -1):
        later = here[video] & (split[video] > place)
        example = np.full(len(known.names), -1)
        example[name[later][::-1]] = video[later][::-1]
        mine = (split[video] == place) & (example[name] >= 0)
        rows, first = np.unique(video[mine], return_index=True)
        for row, n in zip(rows.tolist(), name[mine][first].tolist(), strict=True):
            other = int(example[n])
            gone[row] = (
                f"shares {known.names[n]} with {videos['video_id'][other]} ({SPLITS[split[other]]})"
            )
        here[rows] = False
    return dict(sorted(gone.items()))
