"""What is wrong with a table ``videos``: leaks, duplicates, conflicts, and lopsided splits."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards.fields import SPLITS
from faceshards.wording import counted
from pipeline.audit.findings import SHOWN, Finding, Place, in_order, severity_between
from pipeline.audit.relations import ties
from pipeline.tables.arrays import Bools, Ints, flat, ranges
from pipeline.tables.schemas import REJECT_REASONS

DROPPED = "audit_"
"""A row that was dropped for a finding has this and the finding's kind as its reject reason."""

UNEVEN = 10
"""A dataset's methods are uneven where one has more than so many times the videos of another."""
NAMED = 3
"""Most names of shared people and clips in a sentence."""

_MISSING = "missing"
_REJECTS = {"inconsistent": "warning", "unreadable": "warning", "empty": "warning"} | {
    _MISSING: "note"
}
"""Reject reasons of ``scan`` that are findings too: two sources disagree, or a file is no use."""
_ADVICE = {
    "leak": "Train on one of the two only, or set datasets.audit.leak: drop, which keeps test, "
    "then val. Some official splits are like that: see docs/datasets.md.",
    "lent": "Nothing has to be done; scores may be a little too good.",
    "duplicate": "Remove one copy from its dataset or the dataset from manifests/datasets.yaml, or "
    "set datasets.audit.duplicate: drop, which keeps one.",
    "conflict": "Find out which label is right, or set datasets.audit.conflict: drop, which keeps "
    "none of them.",
    "one_class": "Add the other class, or leave the split out: there is nothing to tell apart.",
    "one_class_of": "Balance over all datasets together (balance.scope: all); there is no AUC for "
    "this dataset alone.",
    "uneven": "Nothing has to be done where the dataset is like that; else look for parts that are "
    "missing.",
    "rejected": "Look at manifests/rejected/scan.parquet; a complete download may help.",
    "dropped": "Nothing has to be done: the parameters say so.",
}


def audit(videos: pa.Table, rejected: pa.Table) -> list[Finding]:
    """All findings about videos, the worst first; none stands for a single row.

    Args:
        videos: the table ``videos``.
        rejected: rejects of ``scan``.
    """
    return in_order(
        [
            *conflicts(videos),
            *duplicates(videos),
            *leaks(videos),
            *balance(videos),
            *rejects(rejected),
        ]
    )


def leaks(videos: pa.Table) -> list[Finding]:
    """People, clips, scenes and parts of leak groups that are in two splits.

    Names that only lent a face or motion (``source_id``) are a note.
    """
    known, split = ties(videos), split_codes(videos)
    places, place = _places(videos)
    inside = np.stack(
        [
            np.bincount(known.name[split[known.video] == s], minlength=len(known.names)) > 0
            for s in range(len(SPLITS))
        ]
    )  # (splits, names)
    far = (inside.sum(axis=0) > 1)[known.name]
    name, video, lent = known.name[far], known.video[far], known.lent[far]
    said: dict[tuple[int, int], Ints] = {}
    findings = []
    for weak in (False, True):
        among = np.flatnonzero(weak | ~lent)
        for pair, names, here in _shared(name[among], place[video[among]], len(places)):
            one, other = (places[p] for p in pair)
            names = np.setdiff1d(names, said.setdefault(pair, names[:0]))
            if one.split == other.split or not len(names):
                continue
            here = among[here]
            here = here[np.isin(name[here], names)]
            said[pair] = names
            named = ", ".join(known.names[int(n)].as_py() for n in names[:NAMED])
            does, do = ("lends a face or motion to", "lend a face or motion to")
            if not weak:
                does, do = "is in", "are in"
            findings.append(
                Finding(
                    kind="leak",
                    severity="note" if weak else severity_between(one, other),
                    what=counted(
                        len(names),
                        f"person, clip or group {does}",
                        f"people, clips or groups {do}",
                    )
                    + f" both {one} and {other}: {named}{' …' if len(names) > NAMED else ''}",
                    count=len(np.unique(video[here])),
                    ids=_examples(videos, name[here], video[here], place, names),
                    advice=_ADVICE["lent" if weak else "leak"],
                )
            )
    return findings


def duplicates(videos: pa.Table) -> list[Finding]:
    """Files that are there more than once, byte for byte, with the same label."""
    group, rows, mixed = same_bytes(videos)
    places, place = _places(videos)
    group, rows = group[~mixed], rows[~mixed]
    findings = []
    for pair, names, here in _shared(group, place[rows], len(places)):
        one, other = (places[p] for p in pair)
        where = f"in both {one} and {other}" if one != other else f"more than once in {one}"
        findings.append(
            Finding(
                kind="duplicate",
                severity=severity_between(one, other),
                what=f"{counted(len(names), 'file is', 'files are')} {where}, byte for byte",
                count=len(here),
                ids=_examples(videos, group[here], rows[here], place, names),
                advice=_ADVICE["duplicate"],
            )
        )
    return findings


def conflicts(videos: pa.Table) -> list[Finding]:
    """Files of the same bytes of which one is called real and another one fake."""
    group, rows, mixed = same_bytes(videos)
    if not mixed.any():
        return []
    group, rows = group[mixed], rows[mixed]
    one_place = np.zeros(videos.num_rows, np.int64)
    return [
        Finding(
            kind="conflict",
            severity="error",
            what=counted(len(np.unique(group)), "file is", "files are")
            + " there as real and as fake, byte for byte",
            count=len(rows),
            ids=_examples(videos, group, rows, one_place, np.unique(group)),
            advice=_ADVICE["conflict"],
        )
    ]


def balance(videos: pa.Table) -> list[Finding]:
    """Splits of one class, and methods of one dataset of which there are much fewer videos."""
    about = ["dataset", "split", "label", "method"]
    counted = videos.group_by(about).aggregate([([], "count_all")]).to_pylist()
    findings = []
    for split in SPLITS:
        mine = [row for row in counted if row["split"] == split]
        if len({row["label"] for row in mine}) == 1:
            findings.append(_one_class(split, mine, ""))
        for dataset in sorted({row["dataset"] for row in mine}):
            own = [row for row in mine if row["dataset"] == dataset]
            if len({row["label"] for row in own}) == 1:
                findings.append(_one_class(split, own, dataset))
            fakes = sorted(
                (row["count_all"], row["method"], row["label"]) for row in own if row["label"]
            )
            if fakes and fakes[-1][0] > UNEVEN * fakes[0][0]:
                (least, rare, _), (most, common, _) = fakes[0], fakes[-1]
                findings.append(
                    Finding(
                        kind="balance",
                        severity="note",
                        what=f"methods are uneven in {split} of {dataset}: {most} videos of "
                        f"{common}, {least} of {rare}",
                        count=least + most,
                        ids=(f"{dataset}/{common}", f"{dataset}/{rare}"),
                        advice=_ADVICE["uneven"],
                    )
                )
    return findings


def rejects(rejected: pa.Table) -> list[Finding]:
    """Rejects of ``scan``: conflicts, damage, files that are missing, and what audits dropped."""
    findings = []
    dataset = pc.replace_substring_regex(rejected["id"], "/.*", "")
    table = rejected.append_column("dataset", dataset)
    groups = table.group_by(["reason", "dataset"]).aggregate([([], "count_all")]).to_pylist()
    for group in groups:
        reason, name, count = group["reason"], group["dataset"], group["count_all"]
        dropped = reason.startswith(DROPPED)
        if not dropped and reason not in _REJECTS:
            continue
        kind = reason.removeprefix(DROPPED) if dropped else "conflict"
        what = counted(count, f"file of {name} was", f"files of {name} were")
        what += f" rejected as {reason}: {REJECT_REASONS[reason]}"
        if reason == _MISSING:
            kind = _MISSING
            what = counted(count, f"file of {name} is", f"files of {name} are")
            what += f" {REJECT_REASONS[reason]}"
        mine = table.filter((pc.field("reason") == reason) & (pc.field("dataset") == name))
        findings.append(
            Finding(
                kind=kind,
                severity="note" if dropped else _REJECTS[reason],
                what=what,
                count=count,
                ids=tuple(sorted(mine["id"].to_pylist())[:SHOWN]),
                advice=_ADVICE["dropped" if dropped else "rejected"],
            )
        )
    return findings


def split_codes(videos: pa.Table) -> Ints:
    """Place of each row's split in fields.SPLITS, int64 (rows,)."""
    places = pc.index_in(videos["split"], value_set=pa.array(SPLITS))
    return np.asarray(places.to_numpy(), np.int64)


def same_bytes(videos: pa.Table) -> tuple[Ints, Ints, Bools]:
    """Rows whose fingerprint another row has too.

    What lies outside of a fake's labelled parts is another part of the same film, and no copy.

    Returns:
        int64 (R,) number of the fingerprint; int64 (R,) row; bool (R,) whether rows of the same
        fingerprint have different labels.
    """
    part = pc.if_else(pc.equal(flat(videos["outside"]), 1), "!outside", "")
    name = pc.binary_join_element_wise(flat(videos["fingerprint"]), part, "")
    encoded = name.dictionary_encode()
    code = encoded.indices.to_numpy().astype(np.int64)  # (rows,)
    label = videos["label"].to_numpy()
    count = np.bincount(code)
    fakes = np.bincount(code, weights=label)
    rows = np.flatnonzero(count[code] > 1)
    code = code[rows]
    return code, rows, (fakes[code] > 0) & (fakes[code] < count[code])


def _one_class(split: str, counted: list[dict[str, Any]], dataset: str) -> Finding:
    there, absent = ("fake", "real") if counted[0]["label"] else ("real", "fake")
    return Finding(
        kind="balance",
        severity="note" if dataset else "warning",
        what=f"{split}{f' of {dataset}' if dataset else ''} has {there} videos but no {absent} "
        "ones",
        count=sum(row["count_all"] for row in counted),
        ids=tuple(sorted(f"{row['dataset']}/{row['method']}" for row in counted)[:SHOWN]),
        advice=_ADVICE["one_class_of" if dataset else "one_class"],
    )


def _places(videos: pa.Table) -> tuple[list[Place], Ints]:
    """Splits of datasets that have videos, sorted; and the place of each row's among them."""
    names = sorted(set(videos["dataset"].unique().to_pylist()))
    dataset = pc.index_in(videos["dataset"], value_set=pa.array(names, pa.string())).to_numpy()
    code = split_codes(videos) * max(1, len(names)) + dataset
    there, place = np.unique(code, return_inverse=True)
    return [Place(int(c) // len(names), names[int(c) % len(names)]) for c in there], place


def _shared(group: Ints, place: Ints, places: int) -> Iterator[tuple[tuple[int, int], Ints, Ints]]:
    """Groups that have rows in two places, or two rows in one place.

    Args:
        group: int64 (R,).
        place: int64 (R,), below ``places``.
        places: how many there are.

    Yields:
        Two places, the smaller first; int64 (G,) groups, sorted; int64 (S,) which of the rows are
        of these groups in these places.
    """
    order = np.lexsort((place, group))
    keys = group[order] * max(1, places) + place[order]
    first = np.flatnonzero(np.r_[np.ones(len(keys[:1]), bool), keys[1:] != keys[:-1]])
    count = np.diff(np.r_[first, len(keys)])
    groups, at = np.divmod(keys[first], max(1, places))  # (cells,), one per group and place
    cells = np.flatnonzero(count > 1)
    pairs = [np.stack([cells, cells])]
    for step in range(1, places):
        cells = np.flatnonzero(groups[step:] == groups[:-step])
        if not len(cells):
            break
        pairs.append(np.stack([cells, cells + step]))
    one, other = np.concatenate(pairs, axis=1)
    between = at[one] * places + at[other]
    sort = np.lexsort((groups[one], between))
    for run in np.split(sort, np.flatnonzero(np.diff(between[sort])) + 1):
        if len(run):
            used = np.unique(np.concatenate([one[run], other[run]]))
            here = order[ranges(first[used], count[used])]
            yield (int(at[one[run[0]]]), int(at[other[run[0]]])), groups[one[run]], np.sort(here)


def _examples(
    videos: pa.Table, group: Ints, rows: Ints, place: Ints, names: Ints
) -> tuple[str, ...]:
    """Of each of the first groups two ids: the smallest of each place, or of the only one."""
    found: list[str] = []
    for name in names[: SHOWN // 2]:
        mine = np.unique(rows[group == name])
        ids = videos["video_id"].take(pa.array(mine)).to_pylist()
        ids = sorted(zip(ids, place[mine].tolist(), strict=True))
        places = sorted({at for _, at in ids})
        if len(places) == 1:
            found += [video for video, _ in ids[:2]]
        else:
            found += [next(video for video, at in ids if at == one) for one in places]
    return tuple(found[:SHOWN])
