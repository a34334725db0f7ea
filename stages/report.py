"""One self-contained page about the data, the shards and the runs."""

import sys
from pathlib import Path

from pipeline import config, leftovers
from pipeline.entry import run_main
from pipeline.report import page


def main() -> None:
    """Writes ``report/index.html``; removed runs go, so that no folder shows them any more."""
    params = config.load()
    for name in leftovers.remove(Path(), params.runs):
        sys.stderr.write(
            f"report: models/{name} is of a run that params.yaml does not name and that was never "
            "finished. Its checkpoint is nowhere else, so it stays; delete it if nobody needs it.\n"
        )
    page.write(
        Path("report/index.html"), page.render(page.gather(Path(), params.runs, params.report))
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
