"""The page itself: everything in one HTML file that asks nothing of any network."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from faceshards.replace import replacing
from pipeline.audit import circumstances, parts
from pipeline.audit.gather import Audit
from pipeline.audit.gather import gather as gather_audit
from pipeline.config.run_params import ReportParams, RunParams
from pipeline.report import charts, lost
from pipeline.report.cells import Cell, Table
from pipeline.report.charts import Chart
from pipeline.report.counts import Counts
from pipeline.report.expansion import expansion_table
from pipeline.report.figures import losses_beside
from pipeline.report.parts import part_table
from pipeline.report.pictures import SIDE_PX, DataUri, Region, Sheet, contact_sheets, regions
from pipeline.report.runs import RunFacts, columns, run_facts, run_table
from pipeline.report.shortcuts import shortcut_table
from pipeline.report.stages import Rejects, rejects, shard_table, stage_table
from pipeline.shards import run_data

MAX_CHARS = 300
"""Longest text of others that is shown; the rest is cut off."""

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Contents:
    """Everything that the page shows, as plain data."""

    counts: Counts
    stages: Table
    parts: Table
    expansion: Table
    rejects: tuple[Rejects, ...]
    lost: tuple[tuple[Cell, ...], ...]
    """See :func:`pipeline.report.lost.lost`."""
    audit: Audit
    sheets: tuple[Sheet, ...]
    regions: tuple[Region, ...]
    shards: Table
    shortcuts: Table
    runs: tuple[RunFacts, ...]
    losses: Chart | None
    """Two kinds of losses beside each other; None where there is one kind."""

    @property
    def scores(self) -> Table:
        """All runs with their leading scores."""
        return run_table(self.runs)

    @property
    def lost_videos(self) -> Table:
        """The first of the videos that gave nothing, or less than planned."""
        return lost.lost_table(self.lost)

    @property
    def rejected(self) -> int:
        """Rejects of all stages."""
        return sum(group.count for group in self.rejects)


def gather(root: Path, runs: Mapping[str, RunParams], params: ReportParams) -> Contents:
    """Reads what the stages left under the project's folder ``root``.

    Runs that are not among ``runs`` leave no trace, whatever files they left.

    Raises UserError where a table, shard folder or metrics file is absent or damaged.
    """
    shards, metrics = root / "data/shards", root / "metrics"
    shortcuts = circumstances.look(root)
    return Contents(
        counts=Counts(root / "manifests", shards),
        stages=stage_table(metrics),
        parts=part_table(parts.read(root / "manifests")),
        expansion=expansion_table(root),
        rejects=tuple(rejects(root / "manifests/rejected")),
        lost=tuple(lost.lost(root / "manifests")),
        audit=gather_audit(root / "manifests"),
        sheets=tuple(contact_sheets(shards, params.faces_per_dataset)),
        regions=tuple(regions(shards, params.swaps_per_region)),
        shards=shard_table(shards),
        shortcuts=shortcut_table(shortcuts),
        runs=tuple(
            run_facts(
                name,
                runs[name],
                root / "plots",
                root / "predictions",
                run_data.counts(name, runs[name], shards),
                shortcuts,
            )
            for name in sorted(runs)
        ),
        losses=losses_beside(
            runs, {name: columns(root / "plots" / f"{name}.csv") for name in runs}
        ),
    )


def render(contents: Contents) -> str:
    """HTML of the page. The same contents give the same text.

    Whatever comes from data is text to the page, never markup: it is escaped, cut at
    :data:`MAX_CHARS` characters, and characters that cannot be seen are spelt out. A content
    security policy forbids scripts and every request.
    """
    return rendered("page.html", it=contents)


def rendered(template: str, folder: Path = _FOLDER, **values: object) -> str:
    """HTML from a template in a folder, which may use the report's macros and style.

    What it shows is treated as :func:`render` says.
    """
    style = (_FOLDER / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        _environment(folder)
        .get_template(template)
        .render(
            frame=charts,
            side_px=SIDE_PX,
            style=Markup(style),  # noqa: S704 - the project's own file
            style_digest=digest,
            **values,
        )
    )


def write(path: Path, html: str) -> None:
    """Writes the page by rename."""
    with replacing(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def visible(value: object) -> object:
    """Spells out characters that cannot be seen, such as direction marks, and cuts long text.

    Only plain text is changed; pictures are as long as they are.
    """
    if not isinstance(value, str) or isinstance(value, Markup | DataUri):
        return value
    cut = value if len(value) <= MAX_CHARS else value[:MAX_CHARS] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)


@cache
def _environment(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([folder, _FOLDER]),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
