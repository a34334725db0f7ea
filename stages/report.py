"""One self-contained page about the data, the shards and the runs."""

import sys
from pathlib import Path

from pipeline import config
from pipeline.commands import cleaning
from pipeline.commands.entry import run_main
from pipeline.report import page


def main() -> None:
    """Writes ``report/index.html``; removed runs go, so that no folder shows them any more."""
    params = config.load()
    left = cleaning.remove(Path(), params.runs)
    for name in left.removed:
        sys.stderr.write(
            f"report: params.yaml names run {name} no more; its outputs were deleted. Name it "
            f"again, and `dvc checkout models/{name}` brings the model back.\n"
        )
    for name in left.kept:
        sys.stderr.write(
            f"report: models/{name} is of a run that params.yaml does not name and that is not "
            "finished. Its checkpoint is nowhere else, so it stays; delete it if nobody needs it.\n"
        )
    page.write(
        Path("report/index.html"), page.render(page.gather(Path(), params.runs, params.report))
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
