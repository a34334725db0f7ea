"""The optimizer: what decays, and which layer learns how fast."""

from collections import defaultdict

from torch import nn
from torch.optim import AdamW

from pipeline.config.run_params import OptimizerParams
from pipeline.models import Classifier

_TOKENS = ("cls_token", "class_embedding", "position_embedding", "register_tokens")
"""Parts of the names of learnt tokens and positions, which no weight decay pulls to 0."""


def make_optimizer(model: Classifier, params: OptimizerParams, fused: bool = False) -> AdamW:
    """AdamW (both papers) over all parameters that want gradients.

    Biases, gains of norms and other vectors, class tokens and positions get no weight decay, as in
    the public code of FSFM, from which metric learning starts; where ``decay_exempt`` is none, all
    parameters get it, as in the public code of SJEDD.

    With a layer decay d (section 4.3), a parameter of layer l of a model with layers 0 to L learns
    at d^(L - l) of the rate: the head at all of it, the patch embedding slowest. There is one group
    per layer and kind of weight decay, from the input on, with ``layer`` and ``rate_scale``.

    Raises:
        ValueError: a layer decay is asked of a model that has no one order of layers.
    """
    layers = model.layers() if params.layer_decay != 1 else {}
    last = max(layers.values(), default=0)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_free = params.decay_exempt == "norms" and (
                parameter.ndim <= 1 or any(token in name for token in _TOKENS)
            )
            groups[layers.get(name, last), is_free].append(parameter)
    listed = [
        {
            "params": groups[layer, is_free],
            "weight_decay": 0.0 if is_free else params.weight_decay,
            "layer": layer,
            "rate_scale": params.layer_decay ** (last - layer),
        }
        for layer, is_free in sorted(groups)
    ]
    return AdamW(listed, lr=params.highest_rate, fused=fused or None)


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """Gives every group this learning rate times its own scale, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_scale"]
