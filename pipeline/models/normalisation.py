"""What is subtracted from pixels and what they are divided by, as a ViT's weights were trained."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.errors import UserError
from pipeline.models.base import Normalisation

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet's")
VGGFACE2 = Normalisation(
    (0.5482207536697388, 0.42340534925460815, 0.3654651641845703),
    (0.2789176106452942, 0.2438540756702423, 0.23493893444538116),
    "VGGFace2's, which FSFM was pretrained on",
)

FSFM_FILE = "pretrain_ds_mean_std.txt"
"""Beside FSFM's checkpoints: its first line is JSON with ``mean`` and ``std``."""
TRANSFORMERS_FILE = "preprocessor_config.json"
"""Beside weights of transformers' models: JSON with ``image_mean`` and ``image_std``."""

_PRETRAINED_FSFM = "rep_decoder_embed.weight"
"""Only FSFM's pretraining checkpoints have this key."""
_TIMM = "patch_embed.proj.weight"
"""Weights in FSFM's and timm's naming have this key, those in transformers' do not."""
_FSFM_CLASSES = 2
"""Classes of FSFM's fine-tuned heads; ImageNet's have 1000."""


def beside(weights: Path) -> tuple[Path, ...]:
    """The files beside weights that may say how their input is normalised."""
    files = (weights.parent / name for name in (FSFM_FILE, TRANSFORMERS_FILE))
    return tuple(path for path in files if path.is_file())


def of_weights(state: Mapping[str, Tensor], weights: Path) -> Normalisation:
    """The input normalisation that goes with pretrained weights.

    For weights in FSFM's and timm's naming it is what :data:`FSFM_FILE` beside them says, then
    VGGFace2's where the keys are FSFM's, pretrained or fine-tuned. Then it is, whatever the naming,
    what a file beside the weights says, and else ImageNet's.

    Args:
        state: names and tensors of the weights.
        weights: the file they come from.

    Raises:
        UserError: the file beside the weights does not say what it should.
    """
    files = {path.name: path for path in beside(weights)}
    if _TIMM in state:
        if FSFM_FILE in files:
            return _from_fsfm(files[FSFM_FILE])
        if _is_fsfm(state):
            return VGGFACE2
    if TRANSFORMERS_FILE in files:
        return _read(files[TRANSFORMERS_FILE], "image_mean", "image_std")
    if FSFM_FILE in files:
        return _from_fsfm(files[FSFM_FILE])
    return IMAGENET


def of_folder(weights: Path) -> Normalisation:
    """The input normalisation that the file beside transformers' weights has, or ImageNet's.

    Raises:
        UserError: the file beside the weights does not say what it should.
    """
    path = weights.parent / TRANSFORMERS_FILE
    return _read(path, "image_mean", "image_std") if path.is_file() else IMAGENET


def _is_fsfm(state: Mapping[str, Tensor]) -> bool:
    if _PRETRAINED_FSFM in state:
        return True
    head = state.get("head.weight")
    return "fc_norm.weight" in state and head is not None and len(head) == _FSFM_CLASSES


def _from_fsfm(path: Path) -> Normalisation:
    return _read(path, "mean", "std")


def _read(path: Path, mean_key: str, std_key: str) -> Normalisation:
    try:
        text = path.read_text(encoding="utf-8")
        told = json.loads(text.partition("\n")[0] if path.name == FSFM_FILE else text)
        mean, std = _three(told[mean_key]), _three(told[std_key])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{path} does not give {mean_key} and {std_key}, three numbers each. Put the file that "
            "belongs to the weights there, or remove it."
        ) from error
    return Normalisation(mean, std, path.name)


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
