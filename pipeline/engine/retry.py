"""Taking rejects back, so that the next run tries their rows again."""

from collections.abc import Mapping, Set
from pathlib import Path

from pipeline import stage_list, tables
from pipeline.engine import disk, partition, store
from pipeline.engine.stage import STORES
from pipeline.errors import UserError
from pipeline.tables import schemas


def retry(stage: str, reason: str = "") -> int:
    """Forgets a stage's rejects and returns how many units that were.

    Their rows lose their fingerprint in the store, so that the next run works them; and they leave
    the reject table, so that DVC sees a changed output and runs the stage.

    Args:
        stage: a stage with a store.
        reason: only rejects with this reason; "" = all.

    Raises:
        UserError: the stage has no store yet, or there is no such reason.
    """
    folder, table = STORES / stage, Path(f"manifests/rejected/{stage}.parquet")
    if reason and reason not in schemas.REJECT_REASONS:
        reasons = ", ".join(schemas.REJECT_REASONS)
        raise UserError(f"{reason!r} is no reason of rejection. There are: {reasons}.")
    if not folder.is_dir() or not table.is_file():
        raise UserError(
            f"stage {stage!r} has nothing to take back: there is no store {folder} or no {table}. "
            f"Stages that keep rejects are {stage_list.named(stage_list.WITH_REJECTS)}, once they "
            "have run."
        )
    with disk.explained(folder), store.locked(folder):
        for path in sorted(folder.rglob("*.parquet")):
            _forget(path, reason)
        rejected = tables.read(table, "rejected").to_pylist()
        kept = [row for row in rejected if reason and row["reason"] != reason]
        tables.write(table, "rejected", tables.from_rows("rejected", kept))
    return len(rejected) - len(kept)


def heal(known: Set[str]) -> dict[str, int]:
    """Has stages run again that missed files which are there now; how many units each lost.

    A file that was away or changed while a stage worked is a reject of that stage. Its rows are
    tried again whenever the stage runs, but DVC runs no stage whose inputs are as they were. So
    these rejects leave the stage's table, which DVC then finds changed.

    Args:
        known: ids of the videos that ``scan`` has just found.
    """
    healed = {}
    for stage in stage_list.OPENS_MEDIA:
        table = Path(f"manifests/rejected/{stage}.parquet")
        if not table.is_file():
            continue
        rejected = tables.read(table, "rejected").to_pylist()
        kept = [row for row in rejected if not _is_back(row, known)]
        if len(kept) < len(rejected):
            tables.write(table, "rejected", tables.from_rows("rejected", kept))
            healed[stage] = len(rejected) - len(kept)
    return healed


def _is_back(row: Mapping[str, str], known: Set[str]) -> bool:
    if row["reason"] not in schemas.AWAY_REASONS:
        return False
    return row["id"] in known or row["id"].rpartition("/")[0] in known


def _forget(path: Path, reason: str) -> None:
    """Marks the rows of one partition that have such a reject as not worked yet."""
    try:
        facts = partition.read_facts(path)
    except partition.DamagedError:
        return  # the next run works all of it
    if facts is None:
        return
    rows = partition.read_rows(path).to_pylist()
    hit = [row for row in rows if any(not reason or r["reason"] == reason for r in row["rejects"])]
    if hit:
        for row in hit:
            row["fingerprint"] = ""
        partition.forget_rows(path, rows, facts)
