"""A vision transformer from a folder as transformers writes it: whatever backbone a user has.

Width, layers, patch and image size are those of its ``config.json``. The embedding is the mean of
the patch tokens of the encoder's own last hidden state.
"""

import json
import re
from logging import ERROR
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

from faceshards.wording import counted
from pipeline.errors import UserError
from pipeline.models import normalisation
from pipeline.models.patch_classifier import PatchClassifier

CONFIG = "config.json"
_KINDS = {
    "vit": "",
    "dinov2": "",
    "dinov2_with_registers": "",
    "dinov3_vit": "",
    "siglip_vision_model": "",
    "clip_vision_model": "",
    "siglip": "vision_config",
    "clip": "vision_config",
}
"""By transformers' ``model_type``: which part of the configuration is the vision transformer's."""
_NOT_LEARNT = re.compile(r"(^|\.)(mask_token|pooler\.|head\.|post_layernorm\.)")
"""Parts of some models that no patch token depends on; a file may lack them."""
_MODELS: Any = AutoModel
"""It has no types."""
_INPUT = ("embeddings.", "pre_layrnorm.")
"""Parts before the first block."""


def read_config(folder: Path) -> Any:
    """The configuration of the folder's vision transformer, as transformers has it.

    Raises:
        UserError: there is none, or it is of another kind of model.
    """
    path = folder / CONFIG
    try:
        part = _KINDS[json.loads(path.read_text(encoding="utf-8"))["model_type"]]
        whole: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        config = getattr(whole, part) if part else whole
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} is not the configuration of a vision transformer that is known here. Give a "
            f"folder with {CONFIG} and model.safetensors of one of these kinds: "
            f"{', '.join(_KINDS)}."
        ) from error
    config.vision_use_head = False  # SigLIP's pooling
    return config


class Backbone(PatchClassifier):
    """Logits of real and of fakes from the mean of the patch tokens of a folder's encoder.

    Its numbers are drawn as transformers draws them; :meth:`load_pretrained` replaces them.

    Args:
        folder: with ``config.json``.
        classes: see :class:`PatchClassifier`.
        fc_norm: likewise.

    Raises:
        UserError: there is no such configuration in the folder.
    """

    def __init__(self, folder: Path, classes: int, fc_norm: str) -> None:
        config = read_config(folder)
        encoder: Any = _MODELS.from_config(config, dtype=torch.float32)
        side_px = int(config.image_size)
        width = int(config.hidden_size)
        super().__init__(encoder, width, side_px, normalisation.IMAGENET, classes, fc_norm)
        self._patches = (side_px // int(config.patch_size)) ** 2

    def patch_tokens(self, images: Tensor) -> Tensor:
        """See :class:`PatchClassifier`; class and register tokens come before them."""
        tokens: Tensor = self.encoder(pixel_values=images).last_hidden_state  # (B, tokens, D)
        return tokens[:, -self._patches :]  # (B, patches, D)

    def blocks(self) -> list[nn.Module]:
        """See :class:`PatchClassifier`."""
        n = self.encoder.config.num_hidden_layers
        lists = [m for m in self.encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == n]
        return list(lists[0])

    def layers(self) -> dict[str, int]:
        """See :class:`PatchClassifier`: input 0, block i (from 0) i + 1, head last."""
        last = int(self.encoder.config.num_hidden_layers) + 1
        found = {}
        for name, _ in self.named_parameters():
            block = re.search(r"\.layers?\.(\d+)\.", name)
            is_input = any(f"encoder.{part}" in name for part in _INPUT)
            found[name] = int(block[1]) + 1 if block else 0 if is_input else last
        return found

    def train_only(self, part: str) -> None:
        """See :class:`PatchClassifier`; what no patch token depends on is not trained."""
        super().train_only(part)
        for name, parameter in self.encoder.named_parameters():
            if _NOT_LEARNT.search(name) and not _is_used(self.encoder, name):
                parameter.requires_grad_(False)

    def load_pretrained(self, file: Path) -> None:
        """Loads the folder's weights; the head and the norm before it stay as they are.

        Args:
            file: ``model.safetensors`` or ``pytorch_model.bin`` in the folder; no code in it runs.

        Raises:
            UserError: it does not hold the numbers of the encoder.
        """
        config = self.encoder.config
        level = logging.get_verbosity()
        logging.set_verbosity(ERROR)  # what is missing is told below
        try:
            loaded, told = type(self.encoder).from_pretrained(
                file.parent,
                config=config,
                local_files_only=True,
                use_safetensors=file.suffix == ".safetensors",
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
            )
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"{file} cannot be loaded as weights: {error}") from error
        finally:
            logging.set_verbosity(level)
        missing = sorted(n for n in told["missing_keys"] if not _NOT_LEARNT.search(n))
        missing += sorted(str(key[0]) for key in told["mismatched_keys"])
        if missing:
            raise UserError(
                f"{file} does not fit {file.parent / CONFIG}: "
                f"{counted(len(missing), 'tensor is', 'tensors are')} missing or of another shape "
                f"(first: {missing[0]}). Give both files of one model."
            )
        self.encoder.load_state_dict(loaded.state_dict())
        self.normalise_as(normalisation.of_folder(file))


def _is_used(encoder: Any, name: str) -> bool:
    """Whether patch tokens depend on a part that only some models leave out of them."""
    # SigLIP's last hidden state is behind its post_layernorm, CLIP's is not.
    return "post_layernorm" in name and "siglip" in str(encoder.config.model_type)
