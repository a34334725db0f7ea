"""What is said while a run is trained: faces per second, and when it ends."""

from pipeline.training import progress
from pipeline.training.progress import EpochProgress


def test_a_line_counts_faces_and_the_time_that_is_left(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with EpochProgress("train a, epoch 1 of 2", 1000, 200, 1000) as bar:
        bar.advance(100)
        assert bar.line(2.0) == (
            "train a, epoch 1 of 2: 300 of 1,000 faces, 50 faces/s, "
            "the run ends in about 34 s (without validation)"
        )
        assert "6 min" in bar.line(20.0)
        assert "9.4 h" in bar.line(2000.0)
    assert "300 of 1,000 faces" in capsys.readouterr().err


def test_a_terminal_has_a_bar_with_a_rate(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    with EpochProgress("train a", 100, 0, 0) as bar:
        bar.advance(50)
    said = capsys.readouterr().err
    assert "train a:  50%" in said
    assert "faces/s" in said
