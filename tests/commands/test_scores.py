"""The commands around scores, in a made project."""

import json

import pytest

from pipeline import tables
from pipeline.commands import main, scores
from pipeline.errors import UserError
from tests.evaluation import made
from tests.evaluation.test_stored import put

ROWS = [(f"a/real/{i}", "test", 0, (4 + i) / 32) for i in range(6)]
ROWS += [(f"a/DF/{i}", "test", 1, (2 + i) / 8) for i in range(6)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("evaluate: {min_group: 2}\n")
    videos = made.videos([row[:3] for row in ROWS])
    tables.write(tmp_path / "manifests/videos.parquet", "videos", videos)
    put(tmp_path / "predictions/ours", ROWS)
    return tmp_path


def write(path, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")


def test_imported_scores_are_compared_like_a_run(project, capsys):
    theirs = [("video_id", "score"), *((row[0], 1 - row[3] / 2) for row in ROWS[:-1])]
    write(project / "theirs.csv", theirs)
    assert main.main(["scores", "import", "theirs.csv", "--name", "THEIRS"]) == 0
    told = capsys.readouterr().out
    assert "THEIRS, test: 11 of 12 videos have a score, 91.7% (1 missing)" in told
    assert "video AUC 0.0500" in told  # of 30 pairs one is won, and one is a tie
    found = json.loads((project / "scores/THEIRS/metrics.json").read_text())
    assert found["test"]["overall"]["videos_missing"] == 1
    assert main.main(["compare", "THEIRS", "ours"]) == 0
    assert "a, 11 of 12 videos: THEIRS minus ours -" in capsys.readouterr().out


def test_names_and_files_that_do_not_do(project):
    with pytest.raises(UserError, match=r"no\.csv cannot be read: No such file"):
        scores.bring(project / "no.csv", "x")
    with pytest.raises(UserError, match="'a/b' is not a name of letters"):
        scores.bring(project / "no.csv", "a/b")
    (project / "params.yaml").write_text(
        "runs: {ours: {model: {architecture: vit, size: tiny}, "
        "objective: {kind: metric_learning}, also: train}}\n"
    )
    with pytest.raises(UserError, match="ours is a run of params"):
        scores.bring(project / "no.csv", "ours")


def test_groups_of_a_table_of_the_users(project, capsys):
    rows = [("video_id", "sex", "age")]
    rows += [(row[0], ("f", "m")[i % 2], "" if i else "old") for i, row in enumerate(ROWS)]
    write(project / "people.csv", [*rows, ("somebody/else/1", "f", "")])
    assert main.main(["scores", "groups", "ours", "--by", "people.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # In 32nds: reals 4 6 8, fakes 8 16 24: of nine pairs one is a tie, and all others are won.
    assert lines[0].startswith("sex f: video AUC 0.9444 [")
    assert lines[0].endswith("(3 real, 3 fake, 100.0% have a score)")
    assert lines[2] == "age old: too few (1 real, 0 fake, 100.0% have a score)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,sex\na/real/0,f\na/real/0,m\n", "line 3: a/real/0 is there twice"),
        ("video,sex\na/real/0,f\n", "must name column video_id"),
        ("video_id\na/real/0\n", "names no video of this split with a column"),
        ("video_id,sex\nx,f\n", "names no video of this split"),
    ],
)
def test_tables_of_groups_that_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        scores.read_groups("people.csv", text.encode(), [row[0] for row in ROWS])
