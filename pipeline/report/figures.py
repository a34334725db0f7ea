"""Pictures of what runs see and learn, and the course of two losses beside each other."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.objectives import SjeddParams
from pipeline.config.run_params import RunParams
from pipeline.report.charts import Chart, Points, line_chart
from pipeline.report.pictures import DataUri

MAX_BYTES = 2_000_000
"""Of a picture; a larger one is none of ours and is not shown."""

_FILES = {
    "label_similarity.svg": "How alike the texts of the labels are to the text encoder (cosines)",
    "grad_cam.jpg": "Fakes of test, and below them what speaks for a fake (Grad-CAM: red most)",
    "label_graph.svg": "Probability that a label is altered: means over the faces of test",
}

_KINDS = {".svg": "svg+xml", ".jpg": "jpeg"}


@dataclass(frozen=True)
class Figure:
    """A picture that ``evaluate`` left."""

    uri: DataUri
    words: str


def figures(folder: Path) -> tuple[Figure, ...]:
    """The pictures of a run that are there; ``folder`` is ``predictions/<run>``.

    They are shown as images, in which browsers run nothing.
    """
    found = []
    for name, words in _FILES.items():
        path = folder / name
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            coded = base64.b64encode(path.read_bytes()).decode()
            kind = _KINDS[path.suffix]
            found.append(Figure(DataUri(f"data:image/{kind};base64,{coded}"), words))
    return tuple(found)


def losses_beside(
    runs: Mapping[str, RunParams], trained: Mapping[str, Mapping[str, Points]]
) -> Chart | None:
    """Training loss of the root, of one run of each kind of loss (SJEDD, figure 5).

    None unless there are runs of both kinds with a history.

    Args:
        runs: by name.
        trained: of each run, points (epoch, value) by column of its history.
    """
    lines: dict[str, Points] = {}
    for name, run in sorted(runs.items()):
        points = trained.get(name, {}).get("train_root")
        if isinstance(run.objective, SjeddParams) and points:
            kind = run.objective.loss.replace("_", "-")
            if not any(line.startswith(kind) for line in lines):
                lines[f"{kind} ({name})"] = points
    return line_chart("loss of the root in training", lines) if len(lines) > 1 else None
