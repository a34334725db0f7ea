"""Both papers' tables from made predictions: every number against scikit-learn."""

import csv
import io
from functools import partial

import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from pipeline import tables
from pipeline.commands import main
from pipeline.commands import paper_tables as commands
from pipeline.errors import UserError
from pipeline.evaluation import facts, paper_tables, scenarios, table_text
from pipeline.evaluation.measures import Rules
from tests.evaluation import made, paper_world

RUNS = ("fsfm", "fsfm-ba", "sjedd", "sjedd-ffsc", "face-xray", "sjedd-deepfakes")
NO_SCORE = "dfdc/dfdc_unknown/003"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("papers")
    return (root, *paper_world.build(root, RUNS, gaps=(NO_SCORE,)))


@pytest.fixture
def project(world, monkeypatch):
    monkeypatch.chdir(world[0])
    monkeypatch.setattr(commands, "Rules", partial(Rules, resamples=30))
    return world


def told(capsys, *arguments):
    assert main.main(["tables", *arguments]) == 0
    return capsys.readouterr().out


def lines(capsys, paper):
    return list(csv.DictReader(io.StringIO(told(capsys, "--paper", paper, "--format", "csv"))))


def pick(videos, dataset, methods=(), categories=(), sound=True, folder=""):
    """Rows of a set, by plain loops."""
    found = []
    for row in videos:
        if row["dataset"] != dataset or row["video_id"] == NO_SCORE:
            continue
        if row["label"] == 0 and not sound and row["audio_fake"] == 1:
            continue
        if row["label"] and methods and row["method"] not in methods:
            continue
        if row["label"] and categories and row["category"] not in categories:
            continue
        if folder and folder in row["path"]:
            continue
        found.append(row)
    return found


def number(rows, scores, measure="video_auc"):
    labels = [row["label"] for row in rows]
    values = [scores[row["video_id"]] for row in rows]
    if measure == "video_auc":
        return 100 * roc_auc_score(labels, values)
    return 100 * balanced_accuracy_score(labels, [value >= 0.5 for value in values])


def by_method(videos, scores, categories, measure):
    """Mean over DF40's manipulations, each against the same reals."""
    methods = [m for m, c in paper_world.METHODS["df40"].items() if c in categories]
    each = [number(pick(videos, "df40", (m,)), scores, measure) for m in methods]
    return sum(each) / len(each)


def paper_one(videos, scores, measure):
    plain = {"FF++": "ffpp", "CDF": "celebdf", "DFDC": "dfdc", "FNet": "forgerynet"}
    cells = {name: number(pick(videos, d), scores, measure) for name, d in plain.items()}
    cells["FakeAV"] = number(pick(videos, "fakeavceleb", sound=False), scores, measure)
    five = sum(cells.values()) / 5
    cells["FS_avg"] = by_method(videos, scores, ("FS",), measure)
    cells["RE_avg"] = by_method(videos, scores, ("RE",), measure)
    for name, dataset in (("WDF", "wilddeepfake"), ("DF-Eval", "deepfake-eval-2024")):
        cells[name] = number(pick(videos, dataset), scores, measure)
    return cells, {
        "in-distribution": five,
        "out-of": by_method(videos, scores, ("FS", "RE"), measure),
    }


def test_table_3_is_that_of_independent_code(project, capsys):
    _, videos, scores = project
    rows = [row for row in lines(capsys, "metric-learning") if row["table"] == "3"]
    own = [row for row in rows if row["source"] != "paper"]
    assert {row["source"] for row in own} == {"fsfm", "fsfm-ba"}
    seen = 0
    wanted_of = {
        (run, measure): paper_one(videos, scores[run], measure)
        for run in ("fsfm", "fsfm-ba")
        for measure in ("video_auc", "video_balanced_accuracy")
    }
    for row in own:
        measure = "video_auc" if row["title"].startswith("AUC") else "video_balanced_accuracy"
        cells, averages = wanted_of[row["source"], measure]
        if row["column"] == "ITW" or (row["column"] == "Avg" and "wild" in row["title"]):
            assert row["value"] == ""  # there is no dataset itw, so there is no average either
            continue
        average = next((v for k, v in averages.items() if k in row["title"]), None)
        wanted = average if row["column"] == "Avg" else cells[row["column"]]
        assert float(row["value"]) == pytest.approx(wanted, abs=1e-9), row
        assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        assert float(row["coverage"]) == pytest.approx(_covered(row["column"], row["title"]))
        seen += 1
    assert seen == 2 * 2 * (6 + 3 + 2)


def _covered(column, title):
    """One fake of DFDC has no score: one of 14 there, of 82 in all of the five."""
    if column == "DFDC":
        return 13 / 14
    listed = 35 + 14 + 14 + 19 + 14
    return (listed - 1) / listed if column == "Avg" and "in-distribution" in title else 1


def paper_two(videos, scores):
    ff = pick(videos, "ffpp", paper_world.FF)
    main_set = {"folder": "Protocol-1"}
    cells = {
        "FF++": number(ff, scores),
        "Intra-dataset": number(ff, scores),
        "CDF": number(pick(videos, "celebdf"), scores),
        "FSh": number(pick(videos, "faceshifter"), scores),
        "DF-1.0": number(pick(videos, "deeperforensics"), scores),
        "DFDC": number(pick(videos, "dfdc"), scores),
        "FFSC": number(pick(videos, "ffsc", **main_set), scores),
        "DiffusionFace": number(pick(videos, "diffusionface", ("DiffSwap",)), scores),
        "DiFF": number(pick(videos, "diff", ("DiffFace",)), scores),
    }
    for name, method in zip(("DF", "F2F", "FS", "NT"), paper_world.FF, strict=True):
        cells[name] = number(pick(videos, "ffpp", (method,)), scores)
    attributes = {
        "Expression": ("StyleRes-expr", "fomm-expr"),
        "Identity": ("simswap",),
        "Age": ("HFGI-age",),
        "Gender": ("StyleCLIP-gender",),
        "Pose": ("FNeVR",),
    }
    for name, methods in attributes.items():
        cells[name] = number(pick(videos, "ffsc", methods, **main_set), scores)
    return cells


MEANS = {
    ("II", "Mean"): ("FF++", "CDF", "FSh", "DF-1.0", "DFDC", "FFSC"),
    ("II", "Mean without FF++"): ("CDF", "FSh", "DF-1.0", "DFDC", "FFSC"),
    ("III", "Mean of the unseen"): ("F2F", "FS", "NT"),
    ("IV", "Mean"): ("Expression", "Identity", "Age", "Gender", "Pose"),
    ("V", "Mean"): ("FF++", "CDF", "DF-1.0", "DFDC"),
    ("VI", "Mean"): ("FF++", "CDF", "DF-1.0", "DFDC"),
    ("VII", "Mean"): ("CDF", "DF-1.0", "DFDC", "FFSC"),
    ("VIII", "Mean"): ("CDF", "DFDC"),
    ("X", "Mean"): ("CDF", "DF-1.0", "DFDC", "FFSC"),
}


def test_tables_two_to_eleven_are_those_of_independent_code(project, capsys):
    _, videos, scores = project
    rows = lines(capsys, "sjedd")
    numbers = ("II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI")
    assert tuple(dict.fromkeys(row["table"] for row in rows)) == numbers
    own = [row for row in rows if row["source"] != "paper"]
    assert {row["table"] for row in own} == set(numbers)
    wanted = {run: paper_two(videos, of) for run, of in scores.items()}
    for row in own:
        cells = wanted[row["source"]]
        of = MEANS.get((row["table"], row["column"]), (row["column"],))
        mean = sum(cells[name] for name in of) / len(of)
        assert float(row["value"]) == pytest.approx(mean, abs=1e-9), row
    assert {row["source"] for row in own if row["table"] == "XI"} == {
        "sjedd",
        "sjedd-ffsc",
        "face-xray",
    }
    assert {row["source"] for row in own if row["table"] == "III"} == {"sjedd-deepfakes"}


def test_printed_averages_stand_beside_what_their_cells_give(project, capsys):
    text = told(capsys)
    assert "96.0 (its cells give 96.2)" in text
    assert text.count("its cells give") == 1
    two = told(capsys, "--paper", "sjedd")
    assert two.count("its cells give") == 2
    assert "86.77 (its cells give 86.70)" in two
    assert "77.77 (its cells give 77.75)" in two


def test_the_typed_numbers_are_where_the_papers_have_them(capsys):
    one = {(t.title, r.label): r for t in paper_tables.typed("metric-learning") for r in t.rows}
    assert one["AUC (%), in-distribution", "FSFM + BA"].cells == (96.9, 99.9, 97.0, 99.6, 89.5)
    assert one["Balanced accuracy (%), in the wild", "SBI"].printed == (58.1,)
    two = {(t.number, r.label): r for t in paper_tables.typed("sjedd") for r in t.rows}
    assert two["II", "SJEDD"].printed == (92.16, 90.61)
    assert two["XI", "Human-annotated FFSC"].cells == (93.81, 91.28, 97.16, 81.32, None)
    assert len(two) == 19 + 8 + 7 + 7 + 3 + 7 + 8 + 1 + 4 + 3  # labels of III are there four times


def test_tables_of_counts(project, capsys, monkeypatch):
    root, videos, _ = project
    faces = [f"{row['video_id']}/00000-{rank}" for row in videos for rank in (0, 1)]
    rows = [
        {
            "face_id": face,
            "split": "test",
            "label": int("/real/" not in face),
            "weight": 1.0,
            "quota": 2,
        }
        for face in faces
    ]
    tables.write(root / "manifests/samples.parquet", "samples", tables.from_rows("samples", rows))
    found = [r for r in lines(capsys, "metric-learning") if r["source"] == "here"]
    cells = {(r["table"], r["row"], r["column"]): r["value"] for r in found}
    assert cells["1", "FF++", "FS"] == "2"
    assert cells["1", "FF++", "test videos"] == "35"
    assert cells["1", "FF++", "train videos"] == "0"
    assert cells["1", "Celeb-DF", "fake videos"] == "7"
    assert cells["1", "Celeb-DF", "real samples"] == "0"  # of train
    assert cells["1", "Total", "FS"] == str(2 + 1 + 1 + 1)
    assert cells["2", "WDF", "all test videos"] == "14"
    assert cells["2", "WDF", "real test faces"] == "14"
    assert ("2", "ITW", "all test videos") not in cells
    (root / "manifests/samples.parquet").unlink()
    found = [r for r in lines(capsys, "metric-learning") if r["source"] == "here"]
    assert {r["value"] for r in found if r["column"].endswith("faces")} == {"not known yet"}


def test_markdown_and_latex(project, capsys):
    text = told(capsys, "fsfm-ba")
    assert "**Table 3. AUC (%), in-distribution**" in text
    assert "| FSFM + BA | paper | 96.9 | 99.9 | 97.0 | 99.6 | 89.5 | 96.6 |" in text
    mine = next(line for line in text.splitlines() if line.startswith("| FSFM + BA | fsfm-ba |"))
    assert mine.count("[") == 6
    assert mine.count(" of 92.9%") == 1
    widths = {line.count("|") for line in text.split("Table 3")[1].splitlines() if line[:1] == "|"}
    assert len(widths) == 1
    latex = told(capsys, "--format", "latex", "--paper", "sjedd")
    assert r"\caption{Table II. AUC (\%), trained on FF++}" in latex
    assert r"SJEDD & paper & 99.86 & 92.22" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 13
    # A run that is in no row has one everywhere where it is asked for.
    assert told(capsys, "face-xray").count("| face-xray | face-xray |") == 6


def test_what_is_not_there_is_said(project):
    with pytest.raises(UserError, match=r"no scores of 'fsm'. Did you mean fsfm\?"):
        main.handlers.paper_tables(
            type("A", (), {"paper": "sjedd", "format": "csv", "runs": ["fsm"]})
        )


def test_a_project_has_scenarios_of_its_own(tmp_path):
    (tmp_path / "manifests").mkdir()
    own = tmp_path / scenarios.OWN
    own.write_text("mine: {sets: {all: {datasets: [a]}}, means: {m: [al]}}\n")
    with pytest.raises(UserError, match=r"scenarios\.yaml: mine: the mean m names al"):
        scenarios.load(tmp_path)
    own.write_text("sjedd: {sets: {all: {datasets: [a], methods: [DF]}}}\n")
    found = scenarios.load(tmp_path)
    assert list(found["sjedd"].sets) == ["all"]
    assert "in_the_wild" in found
    own.write_text("mine: {sets: {all: {dataset: [a]}}}\n")
    with pytest.raises(UserError, match=r"Nearest valid key: scenarios\.mine\.sets\.all\.datasets"):
        scenarios.load(tmp_path)


def test_an_average_over_sets_has_no_number_without_one_of_them():
    videos = made.videos([("a/real/0", "test", 0), ("a/DF/0", "test", 1)])
    faces = made.faces([("a/real/0", "test", 0, 0.1), ("a/DF/0", "test", 1, 0.9)])
    known = scenarios_known(videos, faces)
    one = scenarios.Scenario(
        {"a": scenarios.VideoSet(("a",)), "b": scenarios.VideoSet(("b",))}, {"m": ("a", "b")}
    )
    found = scenarios.measure(one, known, videos, Rules(resamples=5))
    assert found["a"].numbers["video_auc"].value == 1
    assert (found["b"].numbers, found["m"].numbers, found["b"].videos) == ({}, {}, 0)
    cell = paper_tables.Cell(None)
    row = paper_tables.Row("x", "run", (cell,))
    table = paper_tables.ScoreTable("1", "t", 1, ("c",), (row,), ())
    assert "| x | run | — |" in table_text.text([table], "markdown")


def scenarios_known(videos, faces):
    return facts.known(made.per_video(faces, videos), videos, faces)
