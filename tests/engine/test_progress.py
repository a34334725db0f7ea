"""What a person sees of a run, and the rules that stop one that rejects too much."""

import io
import json

import pytest

from pipeline.config.params import EngineParams
from pipeline.engine import progress
from pipeline.engine.progress import Progress, last_seconds_per_row
from pipeline.engine.work import Done
from pipeline.errors import UserError
from tests.engine import toy
from tests.engine.test_run import make, worked


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def bad(n: int) -> dict[str, str]:
    return {f"toy/real/bad{i:04d}": f"reject {i}" for i in range(n)}


def test_a_hundred_rejected_rows_stop_the_run_long_before_its_end(tmp_path, monkeypatch):
    seen = worked(monkeypatch)
    with pytest.raises(UserError, match=r"not_media: not a video container") as said:
        make(tmp_path, bad(300), EngineParams(workers=0, max_reject_fraction=1.0), target_rows=5)
    assert 100 <= len(seen) < 130
    assert f"{len(seen)} of {len(seen)} rows were rejected" in str(said.value)


def test_before_the_hundredth_row_no_share_stops_it(tmp_path):
    texts = bad(98) | toy.texts(1)
    make(tmp_path, texts, EngineParams(workers=0, max_reject_fraction=0.0), target_rows=200)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.slow
def test_more_rejects_than_allowed_stop_the_run(tmp_path, workers):
    texts = bad(90) | toy.texts(60)
    allowed = EngineParams(workers=workers, max_reject_fraction=0.5)
    with pytest.raises(UserError, match=r"rows were rejected\. Of \d+ rejects \d+ are not_media"):
        make(tmp_path / "a", texts, allowed, target_rows=200 if workers == 0 else 75)
    make(tmp_path / "b", texts, EngineParams(workers=0, max_reject_fraction=0.65), target_rows=200)


def test_what_is_kept_stops_no_run_of_good_rows(tmp_path):
    """Rows that an earlier run rejected are copied with the partition; they are not this run's."""
    texts = bad(90) | toy.texts(100)
    make(tmp_path, texts, target_rows=5000)
    more = texts | {f"toy/real/more{i:04d}": f"more {i}" for i in range(110)}
    make(tmp_path, more, EngineParams(workers=0, max_reject_fraction=0.1), target_rows=5000)


def test_a_store_of_rejects_alone_is_no_success_the_second_time_either(tmp_path):
    for _ in range(2):
        with pytest.raises(UserError, match=r"5 of 5 rows were rejected\. Of 15 rejects 15 are"):
            make(tmp_path, bad(5))


class Clock:
    """Stands for time.monotonic; moves only when told to."""

    def __init__(self, monkeypatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now)


def test_plain_lines_come_now_and_then_with_the_time_left(monkeypatch, capsys):
    clock = Clock(monkeypatch)
    shown = Progress("toy", total=1000, to_do=800, max_reject_fraction=0.5)
    for _ in range(700):
        clock.now += 1
        shown.update(Done("p", rows=2, copied=1, empty_rows=0, rejects={"no_face": 1}, tar=None))
    lines = capsys.readouterr().err.splitlines()
    assert 700 / 32 <= len(lines) <= 700 / progress.LINE_EVERY_S
    # One row a second: what is left in rows is left in seconds.
    for line in lines:
        words = line.split()
        assert words[0] == "toy:"
        assert words[1:5:2] == [words[1], "800"]
        assert f"about {800 - int(words[1])} s left" in line
    shown.close()
    assert capsys.readouterr().err == "toy: 700 rows worked, 200 kept, 700 rejects, 700.0 s\n"
    assert json.loads((progress.LOGS / "toy.jsonl").read_text()) == {"worked": 700, "seconds": 700}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_rate_time_left_and_rejects(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    shown = Progress("toy", total=40, to_do=30, max_reject_fraction=0.5)
    shown._bar.start_t -= 10  # as if it had begun ten seconds ago
    shown.update(Done("p", rows=10, copied=0, empty_rows=0, rejects={"no_face": 3}, tar=None))
    shown._bar.refresh()
    text = terminal.getvalue()
    shown.close()
    assert "toy:" in text
    assert "20/40" in text
    assert "row/s" in text
    assert "00:10<00:2" in text
    assert "rejects=3" in text


def test_the_rate_is_that_of_the_largest_of_the_last_runs_and_a_torn_line_is_no_matter():
    assert last_seconds_per_row("toy") is None
    for worked_rows, seconds in [(10_000, 1.0), *[(1, 9.0)] * 3, (100, 50.0), (2, 9.0)]:
        progress.log("toy", {"worked": worked_rows, "seconds": seconds})
    assert last_seconds_per_row("toy") == 0.5
    with (progress.LOGS / "toy.jsonl").open("a") as file:
        file.write('{"seconds": 3')
    assert last_seconds_per_row("toy") == 0.5
