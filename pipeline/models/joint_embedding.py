"""CLIP's image and text encoders over the label graph (SJEDD, section IV-B), and without text."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPModel, CLIPVisionModelWithProjection

from pipeline.labels.semantics import Graph
from pipeline.models import clip
from pipeline.models.base import Outputs
from pipeline.models.clip import CLIP_NORMALISATION, ClipSize
from pipeline.models.hierarchy import GraphClassifier

TEMPERATURE = 10.0
"""Divides inner products and cosines (equations 4 and 8; the number is the public code's). It is
fixed: CLIP's own, which is learnt, is not used."""

Freeze = Literal["none", "text", "both"]


class JointEmbedding(GraphClassifier):
    """Scores of the graph's nodes: how near the image's and the prompts' embeddings are.

    Args:
        size: dimensions.
        graph: its nodes are scored; their legal states make the joint distribution.
        tokens: the nodes' prompts as int64 (N, context), each with the end token in it. Part of
            the state, so that a checkpoint needs no tokenizer.
        vocabulary: number of tokens.
        start: number of the start token.
        end: number of the end token.
        root_needs_child: see :func:`pipeline.models.hierarchy.legal_states`.
        cosine: scores are cosines over the temperature (equation 8) instead of inner products of
            embeddings that keep their lengths (equation 4).
    """

    tokens: Tensor

    def __init__(
        self,
        size: ClipSize,
        graph: Graph,
        tokens: Tensor,
        vocabulary: int,
        start: int,
        end: int,
        root_needs_child: bool = True,
        cosine: bool = False,
    ) -> None:
        super().__init__(size.image_px, CLIP_NORMALISATION, graph, root_needs_child)
        self.clip = CLIPModel(clip.configuration(size, tokens.shape[1], vocabulary, start, end))
        # It scales cosines by a factor that is learnt, and there is none here: without a gradient,
        # nothing waits for one.
        self.clip.logit_scale.requires_grad_(False)
        self.end = end
        self.cosine = cosine
        self.register_buffer("tokens", tokens)  # (N, context)
        self._kept_texts: Tensor | None = None
        self._texts_stay = False

    def forward(self, images: Tensor) -> Outputs:
        """Node scores (B, N), and embedding (B, joint width) of the images."""
        pooled = self.clip.vision_model(pixel_values=images).pooler_output  # (B, vision width)
        embedding = self.clip.visual_projection(pooled)  # (B, D)
        image, texts = embedding, self.label_embeddings()  # (B, D), (N, D)
        if self.cosine:
            image, texts = functional.normalize(image), functional.normalize(texts)
        return Outputs(image @ texts.T / TEMPERATURE, embedding)  # (B, N), (B, D)

    @property
    def image_encoder(self) -> nn.Module:
        """See :class:`Classifier`."""
        encoder: nn.Module = self.clip.vision_model
        return encoder

    def freeze(self, what: Freeze) -> None:
        """What keeps its numbers: nothing, the text encoder, or both encoders.

        Where both do, the projection of the image alone is trained: without it nothing would be.
        """
        if what in ("text", "both"):
            self.clip.text_model.requires_grad_(False)
            self.clip.text_projection.requires_grad_(False)
            self._texts_stay = True
        if what == "both":
            self.clip.vision_model.requires_grad_(False)

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
        """Loads CLIP's weights; see :func:`pipeline.models.clip.load`."""
        self._kept_texts = None
        return clip.load(self.clip, state, with_text=True)

    def label_embeddings(self) -> Tensor:
        """Embeddings of the prompts, (N, D); computed once while nothing can change them.

        That is where the text encoder is frozen, and in evaluation under ``torch.inference_mode``:
        a trainer that merely turns gradients off may still move the weights between two calls.
        """
        in_use = self.training or not torch.is_inference_mode_enabled()
        if in_use and not self._texts_stay:
            self._kept_texts = None
            return self._embed_prompts()
        if self._kept_texts is None or self._kept_texts.device != self.tokens.device:
            self._kept_texts = self._embed_prompts()
        return self._kept_texts

    def label_similarity(self) -> NDArray[np.float64]:
        """Cosines between the embeddings of the prompts, float64 (N, N) (SJEDD, figure 4)."""
        with torch.no_grad():
            unit = functional.normalize(self.label_embeddings().double())  # (N, D)
        cosines: NDArray[np.float64] = (unit @ unit.T).cpu().numpy()  # (N, N)
        return cosines

    def _embed_prompts(self) -> Tensor:
        # What follows the longest prompt's end changes nothing and takes time.
        length = int((self.tokens == self.end).int().argmax(dim=1).max()) + 1
        pooled = self.clip.text_model(input_ids=self.tokens[:, :length]).pooler_output  # (N, width)
        texts: Tensor = self.clip.text_projection(pooled)  # (N, D)
        return texts


class ImageScores(GraphClassifier):
    """Scores of the graph's nodes by a linear layer on CLIP's image encoder (SJEDD, V-C1).

    There is no text; "one implemented solely by the image encoder" of Table VI.

    Args:
        size: dimensions.
        graph: its nodes are scored; their legal states make the joint distribution.
        root_needs_child: see :func:`pipeline.models.hierarchy.legal_states`.
    """

    def __init__(self, size: ClipSize, graph: Graph, root_needs_child: bool = True) -> None:
        super().__init__(size.image_px, CLIP_NORMALISATION, graph, root_needs_child)
        self.clip = CLIPVisionModelWithProjection(clip.vision_configuration(size))
        self.head = nn.Linear(size.joint_width, len(graph.nodes))

    def forward(self, images: Tensor) -> Outputs:
        """Node scores (B, N), and embedding (B, joint width) of the images."""
        embedding = self.clip(pixel_values=images).image_embeds  # (B, D)
        return Outputs(self.head(embedding), embedding)  # (B, N), (B, D)

    @property
    def image_encoder(self) -> nn.Module:
        """See :class:`Classifier`."""
        encoder: nn.Module = self.clip.vision_model
        return encoder

    def freeze(self, what: Freeze) -> None:
        """What keeps its numbers: nothing, or the encoder, so that the linear layer alone learns.

        Raises ValueError where the text encoder is named: there is none.
        """
        if what == "text":
            raise ValueError("a model without text has no text encoder to freeze")
        if what == "both":
            self.clip.requires_grad_(False)

    def load_pretrained(self, state: Mapping[str, Tensor]) -> str:
        """Loads the image encoder's weights; see :func:`pipeline.models.clip.load`."""
        return clip.load(self.clip, state, with_text=False)
