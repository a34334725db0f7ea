"""What every classifier is, and how one that starts from nothing gets its numbers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from faceshards import keys

EMBEDDING_STD = 0.02
"""Initial standard deviation of class tokens, positions and vocabulary (as ViT and CLIP have)."""


@dataclass(frozen=True)
class Normalisation:
    """What is subtracted from RGB values in [0, 1], and what they are then divided by."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str
    """Where they come from, in words, or the name of a file beside the weights."""


@dataclass(frozen=True)
class Outputs:
    """What a classifier says about a batch of B faces."""

    logits: Tensor
    """ViT: logits (B, classes), real first. Joint embedding: logits (B, N) of the graph's nodes
    before the joint distribution."""
    embedding: Tensor
    """(B, D): what the logits were made from."""


class Classifier(nn.Module, ABC):
    """A network that tells fake faces from real ones.

    Its input normalisation is part of its state, so that a checkpoint brings its own.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, image_px: int, normalisation: Normalisation) -> None:
        super().__init__()
        self.image_px = image_px
        """Height and width of the images it takes."""
        self.register_buffer("pixel_mean", torch.tensor(normalisation.mean))  # (3,)
        self.register_buffer("pixel_std", torch.tensor(normalisation.std))  # (3,)
        self.normalisation = normalisation
        """As it was when the model was made; a loaded state brings mean and std of its own."""
        self.evaluation = "whole"
        """What is seen of a face that is not trained on, see :func:`pipeline.models.view.seen`."""

    @property
    def mean(self) -> tuple[float, ...]:
        """What to subtract from R, G and B in [0, 1]."""
        return tuple(self.pixel_mean.tolist())

    @property
    def std(self) -> tuple[float, ...]:
        """What to divide R, G and B by after that."""
        return tuple(self.pixel_std.tolist())

    def normalise_as(self, normalisation: Normalisation) -> None:
        """Replaces the input normalisation by the one that loaded weights were trained with."""
        self.pixel_mean.copy_(torch.tensor(normalisation.mean))
        self.pixel_std.copy_(torch.tensor(normalisation.std))
        self.normalisation = normalisation

    @property
    def image_encoder(self) -> nn.Module:
        """The part that turns images into tokens; its first list of modules is its blocks."""
        return self

    def layers(self) -> dict[str, int]:
        """Layer of every parameter by its name: 0 at the input, the highest at the head.

        Raises ValueError where the model's layers have no one order.
        """
        raise ValueError(f"the layers of {type(self).__name__} have no one order")

    @abstractmethod
    def forward(self, images: Tensor) -> Outputs:
        """Scores of float32 (B, 3, image_px, image_px) images, normalised by mean and std."""

    @abstractmethod
    def fake_log_odds(self, outputs: Outputs) -> Tensor:
        """Logarithm of p / (1 - p) of the probability that each face is fake, float64 (B,).

        Computed without p, which near 0 and 1 no longer tells faces apart.
        """

    def fake_probability(self, outputs: Outputs) -> Tensor:
        """Probability that each face is fake, float64 (B,) in [0, 1]."""
        return self.fake_log_odds(outputs).sigmoid()  # (B,)


def initialise(model: nn.Module, seed: int) -> None:
    """Draws all parameters anew, each from a generator keyed by seed and name.

    So the numbers depend on neither the number of threads, nor the order of layers, nor what was
    drawn before. Layers get a normal distribution of variance 1 / inputs and no bias; layer norms
    start as the identity; everything else (tokens, positions, vocabulary) has a standard deviation
    of :data:`EMBEDDING_STD`.
    """
    with torch.no_grad():
        for path, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False):
                full_name = f"{path}.{name}"
                if isinstance(module, nn.LayerNorm):
                    parameter.fill_(1.0 if name == "weight" else 0.0)
                elif isinstance(module, nn.Linear | nn.Conv2d):
                    inputs = module.weight[0].numel()
                    std = inputs**-0.5 if name == "weight" else 0.0
                    parameter.copy_(std * standard_normal(full_name, parameter.shape, seed))
                else:
                    draw = standard_normal(full_name, parameter.shape, seed)
                    parameter.copy_(EMBEDDING_STD * draw)


def standard_normal(name: str, shape: torch.Size, seed: int) -> Tensor:
    """Normally distributed float32 numbers of the given shape that depend on seed and name only."""
    random = np.random.Generator(np.random.Philox(key=keys.hash64(f"{seed}/{name}")))
    return torch.from_numpy(random.standard_normal(tuple(shape), np.float32))
