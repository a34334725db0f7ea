"""A linear head on the mean of patch tokens: what all vision transformers here have in common."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.models.base import Classifier, Normalisation, Outputs, standard_normal

LAYER_NORM_EPS = 1e-6
"""FSFM's; transformers' own default is 1e-12."""
HEAD_STD = 2e-5
"""Initial standard deviation of the head's weights (FSFM's fine-tuning code)."""


class PatchClassifier(Classifier):
    """Logits of real and of fakes from the mean of the patch tokens (metric learning, section 3).

    The paper calls the mean itself the embedding and does not say whether a norm follows. In the
    public code it builds on it does: both head and triplet loss see its output by default.

    Args:
        encoder: a network with patch tokens.
        width: of the tokens.
        image_px: height and width of the images that the encoder takes.
        normalisation: of these images.
        classes: of the head, at least 2: real, then one or more of fakes (section 3.4).
        fc_norm: where the norm behind the mean stands: before the ``embedding``, before the
            ``head`` only, or nowhere (``none``).
    """

    encoder: Any
    """A module of transformers, whose attributes have no types here."""

    def __init__(
        self,
        encoder: nn.Module,
        width: int,
        image_px: int,
        normalisation: Normalisation,
        classes: int,
        fc_norm: str,
    ) -> None:
        super().__init__(image_px, normalisation)
        self.encoder = encoder
        has_norm = fc_norm != "none"
        self.fc_norm = nn.LayerNorm(width, LAYER_NORM_EPS) if has_norm else nn.Identity()
        self.embedding_is_normed = fc_norm == "embedding"
        self.head = nn.Linear(width, classes)

    @abstractmethod
    def patch_tokens(self, images: Tensor) -> Tensor:
        """Tokens (B, patches, D) of the patches of float32 (B, 3, image_px, image_px)."""

    @abstractmethod
    def blocks(self) -> list[nn.Module]:
        """The blocks of the encoder, from the input on."""

    def forward(self, images: Tensor) -> Outputs:
        """Logits (B, classes) and embedding (B, width) of float32 (B, 3, image_px, image_px)."""
        mean = self.patch_tokens(images).mean(dim=1)  # (B, D)
        normed = self.fc_norm(mean)  # (B, D)
        embedding = normed if self.embedding_is_normed else mean  # (B, D)
        return Outputs(self.head(normed), embedding)

    def fake_log_odds(self, outputs: Outputs) -> Tensor:
        """Of the sum of the softmax over all classes of fakes (section 3.4), float64 (B,)."""
        logits = outputs.logits.double()  # (B, classes)
        return logits[:, 1:].logsumexp(dim=1) - logits[:, 0]  # (B,)

    def train_only(self, part: str) -> None:
        """Lets training change ``all`` parameters, the ``norms`` and the head, or the ``head``."""
        for module in self.modules():
            for parameter in module.parameters(recurse=False):
                is_norm = isinstance(module, nn.LayerNorm)
                parameter.requires_grad_(part == "all" or (part == "norms" and is_norm))
        self.head.requires_grad_(True)

    def initialise_head(self, seed: int) -> None:
        """Draws the head's weights, close to 0, and sets its bias to 0."""
        with torch.no_grad():
            weight = self.head.weight
            weight.copy_(HEAD_STD * standard_normal("head.weight", weight.shape, seed))
            self.head.bias.zero_()
