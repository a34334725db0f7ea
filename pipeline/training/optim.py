"""The optimizer and its learning rate at every step."""

import math

from torch import nn
from torch.optim import AdamW

from pipeline.config.run_params import OptimizerParams

FINAL_LEARNING_RATE = 0.0
"""Where the cosine ends."""

_TOKENS = ("cls_token", "class_embedding", "position_embedding")
"""Parts of the names of learnt tokens and positions, which no weight decay pulls to 0."""


def make_optimizer(model: nn.Module, params: OptimizerParams) -> AdamW:
    """AdamW (metric learning, section 4.1) over all parameters that want gradients.

    Biases, gains of norms and other vectors, class tokens and positions get no weight decay, as in
    the public code of FSFM, from which metric learning starts.
    """
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_free = parameter.ndim <= 1 or any(token in name for token in _TOKENS)
            (free if is_free else decayed).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": params.weight_decay},
        {"params": free, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=params.learning_rate)


def learning_rate(params: OptimizerParams, epochs_done: float) -> float:
    """Learning rate of a step that begins ``epochs_done`` (0 to ``epochs``) epochs into the run.

    Rises linearly from 0 over the warm-up, then falls along half a cosine to
    :data:`FINAL_LEARNING_RATE` (metric learning, section 4.1; per step, as FSFM's public code).
    """
    if epochs_done < params.warmup_epochs:
        return params.learning_rate * epochs_done / params.warmup_epochs
    falling = (epochs_done - params.warmup_epochs) / (params.epochs - params.warmup_epochs)
    height = 0.5 * (1 + math.cos(math.pi * falling))
    return FINAL_LEARNING_RATE + (params.learning_rate - FINAL_LEARNING_RATE) * height


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Gives all parameters this learning rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate
