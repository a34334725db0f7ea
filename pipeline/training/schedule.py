"""The learning rate at every step of a run."""

import math

from pipeline.config.run_params import OptimizerParams


def learning_rate(params: OptimizerParams, epochs_done: float) -> float:
    """Learning rate of a step that begins ``epochs_done`` (0 to ``epochs``) epochs into the run.

    Rises linearly from 0 over the warm-up, then falls along half a cosine to the least rate (metric
    learning, section 4.3; per step, as FSFM's public code).
    """
    if epochs_done < params.warmup_epochs:
        return params.highest_rate * epochs_done / params.warmup_epochs
    falling = (epochs_done - params.warmup_epochs) / (params.epochs - params.warmup_epochs)
    height = 0.5 * (1 + math.cos(math.pi * falling))
    return params.min_learning_rate + (params.highest_rate - params.min_learning_rate) * height
