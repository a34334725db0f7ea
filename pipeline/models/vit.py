"""A vision transformer: mean of the patch tokens, then a linear head (metric learning, section 3).

Layout as in FSFM's fine-tuning code: patch tokens of the last block, mean, LayerNorm, head. The
final ``norm`` of pretrained weights is not used.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from transformers import ViTConfig, ViTModel

from faceshards.wording import counted
from pipeline.errors import UserError
from pipeline.models import normalisation
from pipeline.models.patch_classifier import LAYER_NORM_EPS, PatchClassifier

NOT_PRETRAINED = frozenset({"fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"})
"""What no weights file fills: the norm after the mean, and the head."""

_INPUT = frozenset({"cls_token", "pos_embed", "patch_embed.proj.weight", "patch_embed.proj.bias"})
"""What lies before the first block, in timm's naming."""


@dataclass(frozen=True)
class ViTSize:
    """Dimensions of a vision transformer."""

    width: int
    layers: int
    heads: int
    image_px: int
    patch_px: int = 16


SIZES = {
    "tiny": ViTSize(64, 2, 4, 64),
    "vit-s16": ViTSize(384, 12, 6, 224),
    "vit-b16": ViTSize(768, 12, 12, 224),
    "vit-l16": ViTSize(1024, 24, 16, 224),
}


class VisionTransformer(PatchClassifier):
    """Logits of real and of fakes from the mean of the patch tokens.

    Args:
        size: dimensions.
        classes: see :class:`PatchClassifier`.
        fc_norm: likewise.
    """

    def __init__(self, size: ViTSize, classes: int, fc_norm: str) -> None:
        config = ViTConfig(
            hidden_size=size.width,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=4 * size.width,
            image_size=size.image_px,
            patch_size=size.patch_px,
            layer_norm_eps=LAYER_NORM_EPS,
        )
        encoder = ViTModel(config, add_pooling_layer=False)
        encoder.add_module("layernorm", nn.Identity())
        start = normalisation.IMAGENET
        super().__init__(encoder, size.width, size.image_px, start, classes, fc_norm)

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See :class:`PatchClassifier`."""
        tokens: Tensor = self.encoder(pixel_values=images).last_hidden_state  # (B, 1 + patches, D)
        return tokens[:, 1:]  # (B, patches, D)

    def layers(self) -> dict[str, int]:
        """See :class:`Classifier`: tokens and patches 0, block i (from 0) i + 1, head last.

        As in the public code of FSFM: 0 to 13 for ViT-B.
        """
        last = self.encoder.config.num_hidden_layers + 1
        found = {}
        for name, _ in self.named_parameters():
            common = common_name(name.removeprefix("encoder."))
            if common in _INPUT:
                found[name] = 0
            else:
                block = re.match(r"blocks\.(\d+)\.", common)
                found[name] = int(block[1]) + 1 if block else last
        return found

    def blocks(self) -> list[nn.Module]:
        """The blocks of the encoder, from the input on."""
        return list(self.encoder.layers)

    def load_pretrained(self, state: Mapping[str, Tensor], source: Path) -> None:
        """Loads pretrained weights; the head and the norm before it stay as they are.

        The input normalisation becomes the weights' own, see
        :func:`pipeline.models.normalisation.of_weights`.

        Args:
            state: names and tensors in FSFM's and timm's, or transformers' (4 and 5) naming; what
                does not belong to the encoder (decoders, projectors, heads) is not used.
            source: where they come from.

        Raises:
            UserError: the state is not that of an encoder of this size.
        """
        encoder = encoder_state(state, self.encoder.state_dict(), source)
        own = {f"encoder.{name}": tensor for name, tensor in encoder.items()}
        left = set(self.load_state_dict(own, strict=False).missing_keys)
        if left - {"pixel_mean", "pixel_std"} != NOT_PRETRAINED & self.state_dict().keys():
            raise AssertionError(f"{source} left {sorted(left)} unfilled")
        self.normalise_as(normalisation.of_weights(state, source))


def encoder_state(
    state: Mapping[str, Tensor], like: Mapping[str, Tensor], source: Path
) -> dict[str, Tensor]:
    """The part of a state dict that fills an encoder, under the encoder's own names.

    Args:
        state: as for :meth:`VisionTransformer.load_pretrained`.
        like: the encoder's own state, for names and shapes.
        source: where ``state`` comes from, for messages.

    Raises:
        UserError: tensors are missing, of other shapes, or of more blocks than the encoder has.
    """
    given: dict[str, Tensor] = {}
    for name, tensor in state.items():
        common = common_name(name)
        if ".attn.qkv." in common:
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):  # 3 x (D, D) or (D,)
                given[common.replace("qkv", letter)] = part
        else:
            given[common] = tensor
    own = {common_name(name): name for name in like}
    missing = sorted(own.keys() - given.keys())
    shapes = sorted(c for c in own.keys() & given.keys() if given[c].shape != like[own[c]].shape)
    more = sorted(c for c in given.keys() - own.keys() if c.startswith("blocks."))
    problems = [
        f"{counted(len(names), *what)} (first: {names[0]})"
        for what, names in (
            (("tensor missing", "tensors missing"), missing),
            (("of another shape", "of other shapes"), shapes),
            (("of a block it does not have", "of blocks it does not have"), more),
        )
        if names
    ]
    if problems:
        raise UserError(
            f"{source} does not fit the model's vision transformer: {'; '.join(problems)}, in "
            "timm's naming. Give the weights of a network of this size, for 224 px, in FSFM's, "
            "timm's or transformers' naming."
        )
    return {name: given[common] for common, name in own.items()}


_RENAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^vit\.", ""),
        (r"^(encoder\.)?layers?\.(\d+)\.", r"blocks.\2."),
        (r"^embeddings\.cls_token$", "cls_token"),
        (r"^embeddings\.position_embeddings$", "pos_embed"),
        (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
        (r"\.layernorm_before\.", ".norm1."),
        (r"\.layernorm_after\.", ".norm2."),
        (r"\.attention\.attention\.([qkv])[a-z]+\.", r".attn.\1."),
        (r"\.attention\.([qkv])_proj\.", r".attn.\1."),
        (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
        (r"\.intermediate\.dense\.", ".mlp.fc1."),
        (r"\.output\.dense\.", ".mlp.fc2."),
    )
]


def common_name(name: str) -> str:
    """The name timm has for a tensor of a ViT, with q, k and v where transformers splits them.

    transformers' names change between its versions, so the installed model's own names go through
    here as well.
    """
    for pattern, new in _RENAMES:
        name = pattern.sub(new, name)
    return name
