"""Where in a face a classifier looks: Grad-CAM on the patches of its image encoder (SJEDD, Fig. 7).

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", equations 1 and 2, with the patch tokens before the last block in place of a
convolution's feature map. The tokens behind it would not do: a classifier that reads the class
token alone has no gradient there.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.models.base import Classifier


def relevance(model: Classifier, images: Tensor) -> NDArray[np.float32]:
    """How much each patch speaks for a fake.

    Args:
        model: in evaluation mode. One call at a time: a hook is set on it meanwhile.
        images: float32 (B, 3, image_px, image_px), normalised, on the model's device.

    Returns:
        float32 (B, h, w) of the patches in [0, 1]; the greatest of each image is 1, or all are 0
        where nothing speaks for a fake.
    """
    tokens: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tokens.append(given[0].requires_grad_(True))  # (B, 1 + patches, D)
        return (tokens[0], *given[1:])

    hook = last_block(model).register_forward_pre_hook(keep)
    try:
        with torch.enable_grad():
            odds = model.fake_log_odds(model(images.requires_grad_(True)))  # (B,)
            (slopes,) = torch.autograd.grad(odds.sum(), tokens[0])  # (B, 1 + patches, D)
    finally:
        hook.remove()
    patches, slopes = tokens[0].detach()[:, 1:], slopes[:, 1:]  # (B, patches, D)
    weights = slopes.mean(dim=1, keepdim=True)  # (B, 1, D)
    found = (weights * patches).sum(dim=2).clamp(min=0)  # (B, patches)
    found = found / found.amax(dim=1, keepdim=True).clamp(min=torch.finfo(found.dtype).tiny)
    side = math.isqrt(found.shape[1])
    return np.asarray(found.reshape(-1, side, side).float().cpu().numpy(), np.float32)


def last_block(model: Classifier) -> nn.Module:
    """The last transformer block of the image encoder."""
    lists = [m for m in model.image_encoder.modules() if isinstance(m, nn.ModuleList)]
    return lists[0][-1]
