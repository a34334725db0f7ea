"""The learning rate at every step of a run."""

import math

from pipeline.config.run_params import OptimizerParams


def learning_rate(params: OptimizerParams, epochs_done: float) -> float:
    """Learning rate of a step that begins ``epochs_done`` (0 to ``epochs``) epochs into the run.

    ``cosine``: rises linearly from 0 over the warm-up, then falls along half a cosine to the least
    rate (metric learning, section 4.3; per step, as FSFM's public code).

    ``restarting``: set once per epoch, falls along half a cosine to the least rate and rises along
    it again, in ``restart_epochs`` each. The epoch that would learn at the least rate is left out,
    so that the rise begins one epoch early (SJEDD's public code: torch's CosineAnnealingLR, and one
    more step of it where the rate is 0).
    """
    if params.schedule == "restarting":
        half = params.restart_epochs
        done = _without_lowest(int(epochs_done), half)
        return _between(params, 0.5 * (1 + math.cos(math.pi * done / half)))
    if epochs_done < params.warmup_epochs:
        return params.highest_rate * epochs_done / params.warmup_epochs
    falling = (epochs_done - params.warmup_epochs) / (params.epochs - params.warmup_epochs)
    return _between(params, 0.5 * (1 + math.cos(math.pi * falling)))


def _between(params: OptimizerParams, height: float) -> float:
    """The rate at a height of 0 (least) to 1 (highest)."""
    return params.min_learning_rate + (params.highest_rate - params.min_learning_rate) * height


def _without_lowest(epoch: int, half: int) -> int:
    """Number of the epoch in the whole series that is the n-th of those that are no lowest one."""
    done = 0
    for _ in range(epoch):
        done += 1
        done += (done + half) % (2 * half) == 0
    return done
