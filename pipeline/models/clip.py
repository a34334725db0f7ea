"""CLIP's two encoders as transformers has them: their sizes, and their public weights."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn
from transformers import CLIPConfig, CLIPVisionConfig

from faceshards.wording import counted
from pipeline.errors import UserError
from pipeline.models.base import Normalisation

CLIP_NORMALISATION = Normalisation(
    (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711), "CLIP's"
)

TEXT_PARTS = ("text_model.", "text_projection.", "logit_scale")
"""What the names of weights begin with that a model without text lacks."""


@dataclass(frozen=True)
class ClipSize:
    """Dimensions of both encoders, and of the space they share."""

    image_px: int
    patch_px: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    text_width: int
    text_layers: int
    text_heads: int
    joint_width: int


SIZES = {
    "tiny": ClipSize(64, 16, 64, 2, 4, 64, 2, 4, 64),
    "clip-vit-b32": ClipSize(224, 32, 768, 12, 12, 512, 12, 8, 512),
    "clip-vit-l14": ClipSize(224, 14, 1024, 24, 16, 768, 12, 12, 768),
}
PUBLIC = {
    "clip-vit-b32": "openai/clip-vit-base-patch32",
    "clip-vit-l14": "openai/clip-vit-large-patch14",
}
"""Whose weights a size takes, as they are named where transformers looks for them."""


def vision_configuration(size: ClipSize) -> CLIPVisionConfig:
    """What transformers makes the image encoder from."""
    return CLIPVisionConfig(
        hidden_size=size.vision_width,
        intermediate_size=4 * size.vision_width,
        num_hidden_layers=size.vision_layers,
        num_attention_heads=size.vision_heads,
        image_size=size.image_px,
        patch_size=size.patch_px,
        projection_dim=size.joint_width,
    )


def configuration(
    size: ClipSize, context: int, vocabulary: int, start: int, end: int
) -> CLIPConfig:
    """What transformers makes both encoders from.

    Args:
        size: dimensions.
        context: tokens that the text encoder reads.
        vocabulary: number of tokens.
        start: number of the start token.
        end: number of the end token.
    """
    text = {
        "vocab_size": vocabulary,
        "hidden_size": size.text_width,
        "intermediate_size": 4 * size.text_width,
        "num_hidden_layers": size.text_layers,
        "num_attention_heads": size.text_heads,
        "max_position_embeddings": context,
        "projection_dim": size.joint_width,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = vision_configuration(size).to_dict()
    return CLIPConfig(text_config=text, vision_config=vision, projection_dim=size.joint_width)


def load(module: nn.Module, state: Mapping[str, Tensor], with_text: bool) -> str:
    """Loads CLIP's weights under transformers' names into its encoders.

    Args:
        module: the encoders, or the image encoder alone.
        state: the weights of both.
        with_text: what is of the text encoder counts; else it is passed over.

    Returns:
        what does not fit, for a message; "" when everything did.
    """
    own = module.state_dict()
    # Older files carry positions' numbers; they are counted, not learnt.
    given = {
        name: tensor
        for name, tensor in state.items()
        if not name.endswith(".position_ids") and (with_text or not name.startswith(TEXT_PARTS))
    }
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
        module.load_state_dict(given)
    return "; ".join(problems)


def refuse_torchscript(path: Path, size: str) -> None:
    """Raises UserError when the file is a TorchScript archive: a program, not weights alone."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        scripted = any(name.endswith("/constants.pkl") for name in archive.namelist())
    if scripted:
        raise UserError(
            f"{path} is a TorchScript archive, as OpenAI publishes ViT-B-32.pt: a program, which "
            "is not run here. Give the same weights as a plain state dict: pytorch_model.bin or "
            f"model.safetensors of {PUBLIC.get(size, 'the public copy')}."
        )
