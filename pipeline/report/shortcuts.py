"""What the page says about shortcuts: labels told by what is not the face."""

from collections.abc import Sequence

from faceshards.fields import EXPANDED
from pipeline.audit.shortcuts import Answer, Shortcut
from pipeline.report.cells import Cell, Table, limited

COLUMNS = 3
"""Named in a row, those that tell most."""


def shortcut_table(found: Sequence[Shortcut]) -> Table:
    """One row per dataset and kind of fakes: the AUC with and without columns of the picture."""
    rows: list[tuple[Cell, ...]] = [
        (
            one.dataset,
            "expanded" if one.folder == EXPANDED else one.folder,
            one.groups,
            _said(one.whole),
            _said(one.apart),
            ", ".join(f"{name} {auc:.3f}" for name, auc in one.columns[:COLUMNS]),
        )
        for one in found
    ]
    caption = "Reals told from fakes without a look at the face"
    head = ("dataset", "fakes", "scenes", "AUC", "AUC but for the picture", "each column alone")
    return limited(caption, head, "llrlll", rows)


def _said(answer: Answer | None) -> str:
    if answer is None:
        return "too few"
    if answer.chance is None:
        return f"{answer.auc:.3f}"
    low, high = answer.chance
    return f"{answer.auc:.3f} (by chance {low:.3f} to {high:.3f})"
