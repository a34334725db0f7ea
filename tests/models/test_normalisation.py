"""Which mean and standard deviation go with which weights."""

import json

import pytest
import torch

from pipeline.errors import UserError
from pipeline.models import normalisation
from tests.models import made

WIDTH = 8
FSFM = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
TRANSFORMERS = {"image_mean": [0.5] * 3, "image_std": [0.25, 0.5, 0.75], "size": 224}


def _timm(**more):
    return made.timm_vit(WIDTH, 1, 32) | more


def _fine_tuned(classes):
    norm = {"fc_norm.weight": torch.ones(WIDTH), "fc_norm.bias": torch.zeros(WIDTH)}
    return _timm(**norm, **{"head.weight": torch.zeros(classes, WIDTH)})


STATES = {
    "pretrained FSFM": _timm(**made.fsfm_extras(WIDTH)),
    "fine-tuned FSFM": _fine_tuned(2),
    "fine-tuned on ImageNet": _fine_tuned(1000),
    "timm": _timm(),
    "transformers": made.transformers_4_vit(_timm()),
}


@pytest.mark.parametrize(
    ("name", "without", "with_fsfm", "with_transformers", "with_both"),
    [
        ("pretrained FSFM", "VGGFace2's", "pretrain", "VGGFace2's", "pretrain"),
        ("fine-tuned FSFM", "VGGFace2's", "pretrain", "VGGFace2's", "pretrain"),
        ("fine-tuned on ImageNet", "ImageNet's", "pretrain", "preprocessor", "pretrain"),
        ("timm", "ImageNet's", "pretrain", "preprocessor", "pretrain"),
        ("transformers", "ImageNet's", "pretrain", "preprocessor", "preprocessor"),
    ],
)
def test_a_file_beside_the_weights_goes_before_what_their_keys_say(
    tmp_path, name, without, with_fsfm, with_transformers, with_both
):
    expected = {
        "VGGFace2's": ((0.54822075, 0.42340535, 0.36546516), (0.27891761, 0.24385408, 0.23493893)),
        "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        "pretrain": ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
        "preprocessor": ((0.5, 0.5, 0.5), (0.25, 0.5, 0.75)),
    }
    fsfm, transformers = (
        tmp_path / file for file in ("pretrain_ds_mean_std.txt", "preprocessor_config.json")
    )
    # More lines follow in the real file; the first one counts.
    fsfm_text = json.dumps(FSFM) + "\n" + json.dumps({"mean": [9] * 3, "std": [9] * 3})
    for has_fsfm, has_transformers, source in (
        (False, False, without),
        (True, False, with_fsfm),
        (False, True, with_transformers),
        (True, True, with_both),
    ):
        fsfm.unlink(missing_ok=True)
        transformers.unlink(missing_ok=True)
        if has_fsfm:
            fsfm.write_text(fsfm_text)
        if has_transformers:
            transformers.write_text(json.dumps(TRANSFORMERS))
        found = normalisation.of_weights(STATES[name], tmp_path / "a.pth")
        assert found.source.startswith(source)
        mean, std = expected[source]
        assert found.mean == pytest.approx(mean, abs=1e-7)
        assert found.std == pytest.approx(std, abs=1e-7)


BROKEN = [
    "",
    "{",
    "[]",
    '{"mean": [1, 2], "std": [1, 2], "image_mean": [1, 2], "image_std": [1, 2]}',
    '{"mean": 1, "image_mean": 1}',
]


@pytest.mark.parametrize(
    ("name", "keys", "text"),
    [
        *(("pretrain_ds_mean_std.txt", "mean and std", text) for text in BROKEN),
        ("pretrain_ds_mean_std.txt", "mean and std", "\n" + json.dumps(FSFM)),
        *(("preprocessor_config.json", "image_mean and image_std", text) for text in BROKEN),
    ],
)
def test_a_file_that_does_not_say_it_is_named(tmp_path, name, keys, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name} does not give {keys}"):
        normalisation.of_weights(STATES["timm"], tmp_path / "a.pth")
