"""`faceshards predict` on real clips, by untrained tiny models."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

from pipeline.commands import predict as command
from pipeline.commands.main import main
from pipeline.errors import UserError
from pipeline.prediction import Predictor, inputs
from tests.evaluation import trained

PARAMS = """
seed: 4
engine: {workers: 0}
faces: {detector: dlib, weights: {path: "", sha256: ""}, backbone: "", score_threshold: 0.5}
landmarks: {landmarker: dlib}
runs:
  plain:
    model: {architecture: vit, size: tiny}
    objective: {kind: metric_learning}
    also: train
  joint:
    model: {architecture: joint_embedding, size: tiny}
    objective: {kind: sjedd, graph: ffpp}
    also: train
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project whose runs have a checkpoint each. Not to be changed."""
    root = tmp_path_factory.mktemp("project")
    trained.write(root, PARAMS)
    return root


@pytest.fixture
def project(made, tmp_path, monkeypatch):
    """A copy to work in; the process is in it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    torch.use_deterministic_algorithms(False)


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_clips_is_judged_once_and_every_file_is_told_of(
    project, assets, capsys, monkeypatch
):
    clips = project / "clips"
    (clips / "in").mkdir(parents=True)
    shutil.copy(assets / "videos/real/asl_eat.mkv", clips / "in/a, b <c>.mkv")
    shutil.copy(assets / "images/obama2.jpg", clips)
    shutil.copy(assets / "images/llama_noface.jpg", clips)
    shutil.copy(assets / "videos/odd/not_a_video.mp4", clips)
    (clips / "notes.txt").write_text("not to be judged")
    asked = ["predict", str(clips), "--model", "joint", "--html", "--json", "--out", "found"]
    assert main(asked) == command.EXIT_SOME_REJECTED
    said = capsys.readouterr().out
    assert "scores mean nothing" in said
    rows = {row["file"]: row for row in _rows(project / "found/predictions.csv")}
    assert sorted(rows) == ["in/a, b <c>.mkv", "obama2.jpg"]
    assert all(row["explanation"].endswith(".") for row in rows.values())
    refused = {row["file"]: row["reason"] for row in _rows(project / "found/rejected.csv")}
    assert refused == {
        "llama_noface.jpg": "no_face",
        "not_a_video.mp4": "not_media",
        "notes.txt": "unsupported_media",
    }
    lines = [json.loads(line) for line in (project / "found/predictions.jsonl").open()]
    for line in lines:
        assert line["score"] == pytest.approx(np.mean(line["scores"]), abs=1e-12)
        assert len(line["node_probabilities"][0]) == 10
        assert rows[line["file"]]["verdict"] == line["word"]
    page = (project / "found/predictions-0001.html").read_text()
    assert "in/a, b &lt;c&gt;.mkv" in page
    assert page.count("data:image/jpeg;base64,") == 2
    assert "score over time" in page
    assert "<script" not in page
    written = {p.name: p.read_bytes() for p in (project / "found").iterdir() if p.is_file()}

    def never(*_: object) -> None:
        raise AssertionError("a file that was judged is looked at again")

    monkeypatch.setattr("pipeline.prediction.task.PredictTask.work", never)
    assert main(asked) == command.EXIT_SOME_REJECTED
    assert {p.name: p.read_bytes() for p in (project / "found").iterdir() if p.is_file()} == written


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        ("images/grass_noface.jpg", command.EXIT_NO_FACE, "the detector found no face"),
        ("videos/odd/not_a_video.mp4", command.EXIT_NO_MEDIA, "not a video container"),
        ("images/obama2.jpg", 0, "% fake (1 face at 1 time)"),
    ],
)
def test_a_single_file_has_one_sentence_and_a_code(project, assets, capsys, file, code, words):
    assert main(["predict", str(assets / file), "--model", "plain"]) == code
    assert words in capsys.readouterr().out


def test_too_large_a_file_has_a_code_of_its_own(project, assets, capsys):
    with (project / "params.yaml").open("a") as file:
        file.write("frames: {max_side_px: 64}\n")
    clip = str(assets / "videos/real/asl_eat.mkv")
    assert main(["predict", clip, "--model", "plain"]) == command.EXIT_TOO_LARGE
    assert "width or height is absurd" in capsys.readouterr().out


def test_a_list_names_files_from_its_own_folder(project):
    (project / "lists").mkdir()
    listed = project / "lists/mine.csv"
    listed.write_text("path,label\n../x.mp4,fake\nb.jpg,real\n")
    asked = inputs.find(listed)
    assert (asked.root, asked.files) == (project / "lists", ["../x.mp4", "b.jpg"])
    rows = asked.plan("sampled").table.to_pylist()
    assert [row["media"] for row in rows] == ["video", "image"]
    assert [inputs.name_of(row["file_id"]) for row in rows] == asked.files
    for text, complaint in [
        ("path\n", "lists no file"),
        ("path\na.mp4\n./a.mp4\n", "line 3 names a.mp4, and line 2 does too"),
        ("file\na.mp4\n", "path"),
        ("path,label\n,real\n", "line 2 has no path"),
    ]:
        listed.write_text(text)
        with pytest.raises(UserError, match=complaint):
            inputs.find(listed)
    with pytest.raises(UserError, match=r"nothing\.mp4 does not exist"):
        inputs.find(project / "nothing.mp4")
    (project / "empty").mkdir()
    with pytest.raises(UserError, match="no video and no image"):
        inputs.find(project / "empty")


def test_an_unknown_run_is_one_sentence(project, assets):
    given = str(assets / "images/obama2.jpg")
    with pytest.raises(UserError, match="there are: plain, joint"):
        command.predict(project.joinpath(given), "plane", None, False, False)


def test_a_predictor_serves_many_threads_with_the_same_numbers(project):
    from concurrent.futures import ThreadPoolExecutor

    predictor = Predictor.load("joint")
    draws = np.random.default_rng(3)
    faces = [draws.integers(0, 256, (96, 96, 3), dtype=np.uint8) for _ in range(12)]
    alone = [predictor.score([face]).log_odds[0] for face in faces]
    maps = predictor.relevance(faces[:2])
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda face: predictor.score([face]).log_odds[0], faces * 4))
        again = list(pool.map(lambda _: predictor.relevance(faces[:2]), range(4)))
    assert together == alone * 4
    assert all(np.array_equal(one, maps) for one in again)
    batch = predictor.score(faces)
    np.testing.assert_allclose(batch.log_odds, alone, atol=1e-5)
    assert predictor.verdict(batch).score == pytest.approx(batch.scores.mean())
