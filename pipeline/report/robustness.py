"""Curves of how a run does on faces that were changed before it saw them."""

from collections.abc import Mapping
from typing import Any

from pipeline.report.charts import Chart, line_chart

_DRAWN = {"video_auc": "video AUC", "video_balanced_accuracy": "video balanced accuracy"}


def robustness_charts(found: Mapping[str, Any]) -> tuple[Chart, ...]:
    """One chart per number over all datasets of test: a line per change, by strength from 0 to 5.

    Args:
        found: ``robustness`` of a run's metrics; empty where none was asked for.

    Raises:
        KeyError, ValueError: it is not of this version.
    """
    drawn = []
    for number, words in _DRAWN.items():
        lines = {
            kind: [
                (float(strength), float(about["overall"][number]))
                for strength, about in sorted(by_strength.items())
                if not about["overall"]["one_class"]
            ]
            for kind, by_strength in found.items()
        }
        drawn.append(line_chart(f"{words} of test by strength of change", lines))
    return tuple(chart for chart in drawn if chart)
