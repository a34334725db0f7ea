"""Runs that test_ranks.py trains by one process and by two."""

from dataclasses import replace

from pipeline import models
from pipeline.config.training_options import AveragingParams, ComputeParams
from tests.training import made


def in_float64(monkeypatch):
    """Has runs train in float64, in which Adam does not make much of a gradient that should be 0.

    Such is that of the keys' bias: in float32 its rounding decides which way the bias moves.
    """
    real = models.build
    monkeypatch.setattr(models, "build", lambda *arguments: real(*arguments).double())


def _smaller(params, **change):
    optimizer = replace(params.optimizer, batch_size=8, clip_norm=1.0)
    return replace(params, optimizer=optimizer, **change)


RUNS = {
    "batch_all": _smaller(made.metric_learning(1, "batch_all"), augmentation="fsfm"),
    "hard": _smaller(
        made.metric_learning(1, "hard_positive_hard_negative"),
        compute=ComputeParams(accumulate=2),
    ),
    "easy": _smaller(
        made.metric_learning(1, "easy_positive_hard_negative"),
        averaging=AveragingParams(ema=0.9),
    ),
    "sjedd": _smaller(made.sjedd(1)),
}
