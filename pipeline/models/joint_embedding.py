"""CLIP's image and text encoders over the label graph (SJEDD, section IV-B)."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from faceshards.wording import counted
from pipeline.errors import UserError
from pipeline.labels.semantics import Graph
from pipeline.models import hierarchy
from pipeline.models.base import Classifier, Normalisation, Outputs

TEMPERATURE = 10.0
"""Divides the inner product of un-normalised embeddings (equation 4; the number is the code's)."""

CLIP_NORMALISATION = Normalisation(
    (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), "CLIP's"
)


@dataclass(frozen=True)
class ClipSize:
    """Dimensions of both encoders, and of the space they share."""

    image_px: int
    patch_px: int
    vision_width: int
    text_width: int
    layers: int
    vision_heads: int
    text_heads: int
    joint_width: int


SIZES = {
    "tiny": ClipSize(64, 16, 64, 64, 2, 4, 4, 64),
    "clip-vit-b32": ClipSize(224, 32, 768, 512, 12, 12, 8, 512),
}


class JointEmbedding(Classifier):
    """Scores of the graph's nodes: inner products of the image's and the prompts' embeddings.

    Args:
        size: dimensions.
        graph: its nodes are scored; their legal states make the joint distribution.
        tokens: the graph's prompts as int64 (N, context), each with the end token in it. Part of
            the state, so that a checkpoint needs no tokenizer.
        vocabulary: number of tokens.
        start: number of the start token.
        end: number of the end token.
    """

    tokens: Tensor
    states: Tensor

    def __init__(
        self, size: ClipSize, graph: Graph, tokens: Tensor, vocabulary: int, start: int, end: int
    ) -> None:
        super().__init__(size.image_px, CLIP_NORMALISATION)
        self.clip = CLIPModel(_config(size, tokens.shape[1], vocabulary, start, end))
        # It scales cosines, and there are none: without a gradient, nothing waits for one.
        self.clip.logit_scale.requires_grad_(False)
        self.end = end
        self.register_buffer("tokens", tokens)  # (N, context)
        self.register_buffer("states", hierarchy.legal_states(graph), persistent=False)  # (S, N)
        self._kept_texts: Tensor | None = None

    def forward(self, images: Tensor) -> Outputs:
        """Node scores (B, N), equation 4, and embedding (B, joint width) of the images."""
        pooled = self.clip.vision_model(pixel_values=images).pooler_output  # (B, vision width)
        embedding = self.clip.visual_projection(pooled)  # (B, D)
        return Outputs(embedding @ self._texts().T / TEMPERATURE, embedding)  # (B, N), (B, D)

    @property
    def image_encoder(self) -> nn.Module:
        """See :class:`Classifier`."""
        encoder: nn.Module = self.clip.vision_model
        return encoder

    def fake_log_odds(self, outputs: Outputs) -> Tensor:
        """Of the marginal probability of the root, float64 (B,); all nodes contribute."""
        return hierarchy.root_log_odds(outputs.logits, self.states)  # (B,)

    def node_probabilities(self, outputs: Outputs) -> Tensor:
        """Marginal probability of every node, float64 (B, N) in [0, 1] (equation 3)."""
        return hierarchy.marginals(outputs.logits, self.states)  # (B, N)

    def train(self, mode: bool = True) -> "JointEmbedding":
        """Switches between training and evaluation."""
        self._kept_texts = None
        super().train(mode)
        return self

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads a state; what was computed from the last one is forgotten."""
        self._kept_texts = None
        return super().load_state_dict(state_dict, strict, assign)

    def load_pretrained(self, state: Mapping[str, Tensor]) -> str:
        """Loads CLIP's weights under transformers' names.

        Returns:
            what does not fit, for a message; "" when everything did.
        """
        own = self.clip.state_dict()
        # Older files carry these; they are counted, not learnt.
        given = {name: t for name, t in state.items() if not name.endswith(".position_ids")}
        problems = [
            f"{counted(len(names), *what)} (first: {sorted(names)[0]})"
            for what, names in (
                (("tensor missing", "tensors missing"), own.keys() - given.keys()),
                (("tensor unknown", "tensors unknown"), given.keys() - own.keys()),
                (
                    ("of another shape", "of other shapes"),
                    {n for n in own.keys() & given.keys() if own[n].shape != given[n].shape},
                ),
            )
            if names
        ]
        if not problems:
            self.clip.load_state_dict(given)
            self._kept_texts = None
        return "; ".join(problems)

    def _texts(self) -> Tensor:
        """Embeddings of the prompts, (N, D); computed once while nothing can change them.

        That is in evaluation under ``torch.inference_mode``: a trainer that merely turns gradients
        off may still move the weights between two calls.
        """
        if self.training or not torch.is_inference_mode_enabled():
            self._kept_texts = None
            return self._embed_prompts()
        if self._kept_texts is None or self._kept_texts.device != self.tokens.device:
            self._kept_texts = self._embed_prompts()
        return self._kept_texts

    def _embed_prompts(self) -> Tensor:
        # What follows the longest prompt's end changes nothing and takes time.
        length = int((self.tokens == self.end).int().argmax(dim=1).max()) + 1
        pooled = self.clip.text_model(input_ids=self.tokens[:, :length]).pooler_output  # (N, width)
        texts: Tensor = self.clip.text_projection(pooled)  # (N, D)
        return texts


def _config(size: ClipSize, context: int, vocabulary: int, start: int, end: int) -> CLIPConfig:
    text = {
        "vocab_size": vocabulary,
        "hidden_size": size.text_width,
        "intermediate_size": 4 * size.text_width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.text_heads,
        "max_position_embeddings": context,
        "projection_dim": size.joint_width,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = {
        "hidden_size": size.vision_width,
        "intermediate_size": 4 * size.vision_width,
        "num_hidden_layers": size.layers,
        "num_attention_heads": size.vision_heads,
        "image_size": size.image_px,
        "patch_size": size.patch_px,
        "projection_dim": size.joint_width,
    }
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=size.joint_width)


def refuse_torchscript(path: Path) -> None:
    """Raises UserError when the file is a TorchScript archive: a program, not weights alone."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
    if scripted:
        raise UserError(
            f"{path} is a TorchScript archive, as OpenAI publishes ViT-B-32.pt: a program, which "
            "is not run here. Give the same weights as a plain state dict: pytorch_model.bin or "
            "model.safetensors of openai/clip-vit-base-patch32."
        )
