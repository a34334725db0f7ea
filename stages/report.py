"""One self-contained page about the data, the shards and the runs."""

import sys
from pathlib import Path

from pipeline import config
from pipeline.commands import cleaning
from pipeline.commands.entry import run_main
from pipeline.report import lost, page


def main() -> None:
    """Writes ``report/index.html`` and ``report/lost.csv``.

    Deletes nothing: removed runs are named, and stay.
    """
    params = config.load()
    removed = cleaning.removed_runs(Path(), params.runs)
    if removed:
        sys.stderr.write(
            f"report: params.yaml does not name {', '.join(removed)}, which left files behind. "
            "`faceshards clean` lists them.\n"
        )
    contents = page.gather(Path(), params.runs, params.report)
    lost.write(Path("report") / lost.LISTED, contents.lost)
    page.write(Path("report/index.html"), page.render(contents))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
