"""One self-contained page about the data, the shards and the runs."""

from pathlib import Path

from pipeline import config
from pipeline.entry import run_main
from pipeline.report import page


def main() -> None:
    """Writes ``report/index.html``."""
    params = config.load()
    page.write(
        Path("report/index.html"), page.render(page.gather(Path(), params.runs, params.report))
    )


if __name__ == "__main__":
    raise SystemExit(run_main(main))
