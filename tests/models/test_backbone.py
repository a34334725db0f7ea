"""Backbones from folders, against transformers' own models of the same folder."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from transformers import logging

from pipeline import models, weights
from pipeline.config.run_params import ModelParams, OptimizerParams
from pipeline.config.values import Weights
from pipeline.errors import UserError
from pipeline.training import optim

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
KINDS = {
    "ViT": ("ViTConfig", "ViTModel", {}),
    "Dinov2": ("Dinov2Config", "Dinov2Model", {}),
    "Dinov2WithRegisters": (
        "Dinov2WithRegistersConfig",
        "Dinov2WithRegistersModel",
        {"num_register_tokens": 3},
    ),
    "DINOv3ViT": ("DINOv3ViTConfig", "DINOv3ViTModel", {"num_register_tokens": 2}),
    "SiglipVision": ("SiglipVisionConfig", "SiglipVisionModel", {}),
    "CLIPVision": ("CLIPVisionConfig", "CLIPVisionModel", {}),
}
FIRST = dict(zip(KINDS, (1, 1, 4, 3, 0, 1), strict=True))
"""How many tokens come before those of the patches."""
IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def _folder(root, kind, **change):
    """A folder of transformers' with a small random model; the model."""
    config_name, model_name, extra = KINDS[kind]
    torch.manual_seed(0)
    logging.set_verbosity_error()
    config = getattr(transformers, config_name)(**{**SMALL, **extra, **change})
    model = getattr(transformers, model_name)(config)
    folder = root / kind
    model.save_pretrained(folder)
    return folder, model.eval()


def _params(folder, **change):
    file = folder / "model.safetensors"
    digest = weights.read_sha256(file) if file.exists() else ""
    return ModelParams("vit", "folder", Weights(str(folder), digest), **change)


@pytest.mark.parametrize("kind", KINDS)
def test_the_embedding_is_the_mean_of_the_patch_tokens_of_the_last_hidden_state(tmp_path, kind):
    folder, plain = _folder(tmp_path, kind)
    params = _params(folder, fc_norm="none")
    assert models.image_px(params) == 32
    model = models.build(params, None).eval()
    with torch.no_grad():
        tokens = plain(pixel_values=IMAGES).last_hidden_state
        outputs = model(IMAGES)
    patches = tokens[:, FIRST[kind] :]
    assert patches.shape[1] == 16
    torch.testing.assert_close(outputs.embedding, patches.mean(dim=1), rtol=1e-5, atol=1e-5)
    assert outputs.logits.shape == (3, 2)
    assert model.normalisation.source == "ImageNet's"


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_learns_in_its_order_and_gradients_reach_it(tmp_path, kind):
    folder, _ = _folder(tmp_path, kind)
    model = models.build(_params(folder, drop_path=0.1), None)
    layers = model.layers()
    assert set(layers.values()) == {0, 1, 2, 3}
    assert layers["head.weight"] == layers["fc_norm.bias"] == 3
    assert all(layers[n] == 0 for n in layers if "embeddings" in n)
    assert sum(layer == 1 for layer in layers.values()) == sum(
        layer == 2 for layer in layers.values()
    )
    optimizer = optim.make_optimizer(model, OptimizerParams(layer_decay=0.5))
    assert {g["rate_scale"] for g in optimizer.param_groups} == {1.0, 0.5, 0.25, 0.125}
    model.train()(IMAGES).logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name


@pytest.mark.parametrize("part", ["all", "norms", "head"])
def test_what_is_trained_is_one_key(tmp_path, part):
    folder, _ = _folder(tmp_path, "Dinov2")
    model = models.build(_params(folder, trained=part), None)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    norms = {n for n in dict(model.named_parameters()) if "norm" in n}
    head = {"head.weight", "head.bias"}
    assert trained >= head
    assert (trained == head) == (part == "head")
    assert (trained == head | norms) == (part == "norms")


def test_the_image_part_of_a_model_of_images_and_texts_is_read(tmp_path):
    vision = {**SMALL, "projection_dim": 16}
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "vocab_size": 50}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=16)
    plain = transformers.CLIPModel(config).eval()
    plain.save_pretrained(tmp_path / "clip")
    model = models.build(_params(tmp_path / "clip", fc_norm="none"), None).eval()
    with torch.no_grad():
        tokens = plain.vision_model(pixel_values=IMAGES).last_hidden_state
        found = model(IMAGES).embedding
    torch.testing.assert_close(found, tokens[:, 1:].mean(dim=1), rtol=1e-5, atol=1e-5)


def test_statistics_are_those_beside_the_weights_and_all_files_are_in_the_digest(tmp_path):
    folder, _ = _folder(tmp_path, "ViT")
    params = _params(folder)
    before = models.settings(params)
    assert "config.json" in before["beside"]
    beside = {"image_mean": [0.5, 0.25, 0.5], "image_std": [0.5, 0.5, 0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(beside))
    model = models.build(params, None)
    assert model.normalisation.source == "preprocessor_config.json"
    assert model.mean == (0.5, 0.25, 0.5)
    assert models.settings(params) != before


def test_random_numbers_need_a_configuration_alone_and_depend_on_the_seed(tmp_path):
    folder, _ = _folder(tmp_path, "Dinov2")
    (folder / "model.safetensors").unlink()
    params = _params(folder, start="random")
    one, same, other = (models.build(params, None, seed).state_dict() for seed in (1, 1, 2))
    assert all(value.equal(same[name]) for name, value in one.items())
    assert any(not value.equal(other[name]) for name, value in one.items())
    scale = "encoder.encoder.layer.0.layer_scale1.lambda1"
    assert one[scale].tolist() == [1.0] * 32  # as transformers starts it
    assert models.settings(params)["start"] == "random"
    assert models.skeleton(params, None).load_state_dict(one)


def test_random_numbers_of_a_named_size_need_no_file():
    params = ModelParams("vit", "vit-s16", start="random")
    model = models.build(params, None, 3)
    assert sum(p.numel() for p in model.encoder.parameters()) == 21_665_664 - 768
    assert model.head.weight.std().item() == pytest.approx(2e-5, rel=0.1)
    block = model.encoder.layers[3].mlp.fc1.weight
    assert block.std().item() == pytest.approx(1 / math.sqrt(384), rel=0.01)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), r"config\.json is not the configuration"),
        (
            lambda f: (f / "config.json").write_text('{"model_type": "bert"}'),
            r"is not the configuration .*vit, dinov2",
        ),
        (lambda f: (f / "config.json").write_text("[]"), "is not the configuration"),
        (
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().replace('"hidden_size": 32', '"hidden_size": 64')
            ),
            "missing or of another shape",
        ),
        (
            lambda f: (f / "config.json").write_text(
                (f / "config.json")
                .read_text()
                .replace('"num_hidden_layers": 2', '"num_hidden_layers": 3')
            ),
            "missing or of another shape",
        ),
    ],
)
def test_a_folder_that_does_not_fit_is_one_sentence(tmp_path, spoil, message):
    folder, _ = _folder(tmp_path, "ViT")
    params = _params(folder)
    spoil(folder)
    with pytest.raises(UserError, match=message):
        models.build(params, None)


def test_another_file_than_the_digest_says_is_refused(tmp_path):
    folder, _ = _folder(tmp_path, "ViT")
    params = _params(folder)
    wrong = replace(params, weights=Weights(str(folder), "ab" * 32))
    with pytest.raises(UserError, match=r"model\.safetensors has "):
        models.build(wrong, None)
    assert np.isfinite(models.build(params, None).head.weight.detach().numpy()).all()
