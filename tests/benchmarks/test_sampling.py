"""The benchmark's own parts: clips whose pictures can be told apart, contenders, figures."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import _clips, _figures, sampling
from benchmarks._contenders import decoding_alone, ffmpeg_select, opencv_read, ours
from pipeline.video.decode import VideoReader

TINY = _clips.Recipe("tiny", 160, options={"g": "12"})


@pytest.fixture
def file(tmp_path: Path) -> sampling.File:
    return sampling._made(TINY, tmp_path, 3.0)


def test_right_pictures_are_told_from_wrong_ones(file):
    assert file.times_s == [0, 1, 2]
    assert file.numbers == [0, 30, 60]
    for contender in (ours, opencv_read, ffmpeg_select):
        assert sampling._wrong(file, contender) == 0
    assert sampling._wrong(file, lambda path, times: ours(path, [t + 0.1 for t in times])) == 3
    assert sampling._wrong(file, lambda path, times: ours(path, times)[:1]) == 2


def test_times_of_a_variable_rate():
    recipe = _clips.Recipe("v", 160, variable=True)
    stamps = _clips.stamps(recipe, 4.0)
    steps = {b - a for a, b in pairwise(stamps)}
    assert stamps[0] == 0
    assert stamps[-1] < 120
    assert steps == {1, 2, 3, 4}


def test_figures(file, capsys):
    contenders = {"ours": ours, "opencv_read": opencv_read}
    figures = sampling._clip_figures(file, *sampling._measure(file, contenders, 1))
    _figures.show(figures)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["name"] for line in lines] == [
        "sampling.tiny.wrong_pictures",
        "sampling.tiny.share_of_decoding",
        "sampling.tiny.cpu_of_opencv_read",
    ]
    assert all(set(line) == {"name", "value", "unit", "target", "holds"} for line in lines)
    assert [line["holds"] for line in lines[::2]] == [True, True]  # neither is a matter of time


def test_two_processes_share_the_files(file):
    (figure,) = sampling._side_by_side([file], {"ours": ours, "opencv_read": opencv_read}, 1)
    assert figure.name == "sampling.two_processes.wall_of_opencv_read"
    assert figure.value > 0


def test_decoding_alone_is_part_of_reading(file, monkeypatch):
    def convert(*_):
        raise AssertionError("a picture was converted")

    monkeypatch.setattr(VideoReader, "_rgb", convert)
    decoding_alone(file.path, file.times_s)
    with pytest.raises(AssertionError, match="converted"):
        ours(file.path, file.times_s)


def test_a_figure_that_misses_its_target():
    assert not _figures.at_least("a", 0.99, "x", 1.0).holds
    assert not _figures.at_most("a", 1.01, "x", 1.0).holds
    assert _figures.at_least("a", 1.0, "x", None).holds is None
