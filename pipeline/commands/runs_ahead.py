"""Which runs `dvc repro` would train and score, and whether it would write the report."""

import json
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pipeline.config.run_params import RunParams
from pipeline.engine.progress import last_seconds_per_row
from pipeline.errors import UserError


@dataclass(frozen=True)
class Ahead:
    """One step behind the shards that would run."""

    step: str
    """As DVC names it: ``train@<run>``, ``evaluate@<run>`` or ``report``."""
    seconds: float | None
    """By its last runs; None before there was one, 0 where it does not count."""


def out_of_date() -> set[str]:
    """Steps of dvc.yaml that DVC sees as changed; what lies behind them it does not name.

    Raises:
        UserError: DVC cannot tell, because another one is running, say.
    """
    words = [sys.executable, "-m", "dvc", "status", "--json"]
    done = subprocess.run(words, capture_output=True, text=True)  # noqa: S603 - our words
    try:
        return set(json.loads(done.stdout))
    except ValueError:
        reason = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UserError(f"`dvc status` could not tell: {reason}") from None


def ahead(
    runs: Mapping[str, RunParams], changed: Collection[str], working: Collection[str]
) -> list[Ahead]:
    """Steps that would run, in order.

    Args:
        runs: the runs of params.yaml.
        changed: see :func:`out_of_date`.
        working: data stages that have rows to do or to drop.
    """
    # Swaps are in a folder of their own, which only runs with `also: expanded` read.
    swaps = "expand" in working
    all_shards = bool({"balance"} & set(changed) or {"frames", "faces", "landmarks"} & set(working))
    all_shards |= "shard" in working and not swaps
    found = []
    for name, run in runs.items():
        trains = all_shards or (swaps and run.also == "expanded") or f"train@{name}" in changed
        if trains:
            rate = last_seconds_per_row(f"train@{name}")
            epochs = run.optimizer.epochs
            found.append(Ahead(f"train@{name}", None if rate is None else rate * epochs))
        if trains or f"evaluate@{name}" in changed:
            step = f"evaluate@{name}"
            found.append(Ahead(step, last_seconds_per_row(step)))
    if found or working or "balance" in changed or "report" in changed:
        found.append(Ahead("report", 0.0))  # a matter of seconds, which nothing logs
    return found


def text(found: Collection[Ahead]) -> str:
    """One line."""
    if not found:
        return "runs: none would train or be scored again"
    return f"would run then: {', '.join(map(_step, found))}"


def _step(one: Ahead) -> str:
    if one.seconds is None:
        return f"{one.step} (time unknown)"
    return f"{one.step} ({one.seconds:.0f} s)" if one.seconds else one.step
