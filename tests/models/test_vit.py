import hashlib
import json
import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pipeline import models, weights
from pipeline.errors import UserError
from pipeline.models import Outputs, normalisation, vit
from tests.models import made

WIDTH, LAYERS, HEADS, IMAGE_PX = 64, 2, 4, 64


def _images(n: int, px: int = IMAGE_PX) -> torch.Tensor:
    return torch.randn(n, 3, px, px, generator=torch.Generator().manual_seed(7))


def _plain_embedding(
    state: dict[str, torch.Tensor], images: torch.Tensor, heads: int
) -> torch.Tensor:
    """Forward pass of timm's ViT written from its equations; then FSFM's mean and a fresh norm."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    b = len(images)
    side = images.shape[-1] // 16
    patches = images.reshape(b, 3, side, 16, side, 16).permute(0, 2, 4, 1, 3, 5)
    kernel = state["patch_embed.proj.weight"]
    tokens = patches.reshape(b, side * side, -1) @ kernel.flatten(1).T
    tokens = tokens + state["patch_embed.proj.bias"]
    width = tokens.shape[-1]
    x = torch.cat([state["cls_token"].expand(b, 1, width), tokens], 1) + state["pos_embed"]
    n = 0
    while f"blocks.{n}.norm1.weight" in state:
        qkv = linear(norm(x, f"blocks.{n}.norm1"), f"blocks.{n}.attn.qkv")
        q, k, v = qkv.reshape(b, -1, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1) @ v
        x = x + linear(seen.transpose(1, 2).reshape(x.shape), f"blocks.{n}.attn.proj")
        hidden = linear(norm(x, f"blocks.{n}.norm2"), f"blocks.{n}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + linear(hidden, f"blocks.{n}.mlp.fc2")
        n += 1
    return functional.layer_norm(x[:, 1:].mean(1), (width,), eps=1e-6)


@pytest.fixture
def state():
    return made.timm_vit(WIDTH, LAYERS, IMAGE_PX)


def test_fsfms_checkpoint_gives_what_its_own_equations_give(tmp_path, state):
    file = tmp_path / "checkpoint-400.pth"
    made.fsfm_checkpoint(file, state | made.fsfm_extras(WIDTH))
    model = models.build(made.params("vit", "tiny", file), None).eval()
    images = _images(3)
    with torch.inference_mode():
        outputs = model(images)
    expected = _plain_embedding(state, images, HEADS)
    torch.testing.assert_close(outputs.embedding, expected, rtol=0, atol=2e-5)
    logits = expected @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(outputs.logits, logits, rtol=0, atol=1e-6)


def test_transformers_4_and_timm_name_the_same_weights(tmp_path, state):
    torch.save(state, tmp_path / "timm.pth")
    torch.save(made.transformers_4_vit(state), tmp_path / "pytorch_model.bin")
    one = models.build(made.params("vit", "tiny", tmp_path / "timm.pth"), None)
    other = models.build(made.params("vit", "tiny", tmp_path / "pytorch_model.bin"), None)
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_the_installed_transformers_own_names_are_understood(tmp_path, state):
    from safetensors.torch import save_file

    torch.save(state, tmp_path / "timm.pth")
    one = models.build(made.params("vit", "tiny", tmp_path / "timm.pth"), None)
    assert isinstance(one, vit.VisionTransformer)
    save_file(one.encoder.state_dict(), tmp_path / "model.safetensors")
    other = models.build(made.params("vit", "tiny", tmp_path / "model.safetensors"), None)
    assert torch.equal(one(_images(1)).embedding, other(_images(1)).embedding)


@pytest.mark.slow
def test_weights_of_the_real_dimensions_fit(tmp_path):
    torch.save(made.timm_vit(768, 12, 224), tmp_path / "b16.pth")
    params = made.params("vit", "vit-b16", tmp_path / "b16.pth")
    model = models.build(params, None).eval()
    assert model.image_px == 224
    with torch.inference_mode():
        outputs = model(_images(1, 224))
        probability = model.fake_probability(outputs)
    assert outputs.logits.shape == (1, 2)
    assert outputs.embedding.shape == (1, 768)
    # Its head is so close to 0 that nothing is known before training.
    assert probability.item() == pytest.approx(0.5, abs=1e-3)


def test_the_normalisation_of_loaded_weights_is_part_of_the_state(tmp_path, state):
    made.fsfm_checkpoint(tmp_path / "a.pth", state | made.fsfm_extras(WIDTH))
    params = made.params("vit", "tiny", tmp_path / "a.pth")
    model = models.build(params, None)
    assert model.mean == pytest.approx((0.5482207, 0.4234053, 0.3654652), abs=1e-6)
    assert model.std == pytest.approx((0.2789176, 0.2438541, 0.2349389), abs=1e-6)
    assert model.normalisation == normalisation.VGGFACE2
    # The state brings it along, so a checkpoint of ours needs no weights file.
    other = models.skeleton(made.params("vit", "tiny"), None)
    assert other.mean != model.mean
    other.load_state_dict(model.state_dict())
    assert (other.mean, other.std) == (model.mean, model.std)


def test_files_beside_the_weights_are_part_of_what_a_model_starts_from(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    params = made.params("vit", "tiny", tmp_path / "a.pth")
    assert models.settings(params)["beside"] == {}
    digests = {}
    for name in ("pretrain_ds_mean_std.txt", "preprocessor_config.json"):
        (tmp_path / name).write_text(name)
        digests[name] = hashlib.sha256(name.encode()).hexdigest()
    assert models.settings(params)["beside"] == digests


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("blocks.1.attn.qkv.bias"),
            r"3 tensors missing \(first: blocks.1.attn.k.bias\)",
        ),
        (
            lambda s: s.update({"pos_embed": torch.zeros(1, 197, WIDTH)}),
            r"1 of another shape \(first: pos_embed\)",
        ),
        (
            lambda s: s.update({"blocks.2.norm1.weight": torch.zeros(WIDTH)}),
            r"1 of a block it does not have \(first: blocks.2.norm1.weight\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, state, change, message):
    change(state)
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(UserError, match=rf"a.pth does not fit .*{message}"):
        models.build(made.params("vit", "tiny", tmp_path / "a.pth"), None)


def test_the_head_is_never_taken_from_the_weights(tmp_path, state):
    more = {"head.weight": torch.ones(2, WIDTH), "fc_norm.weight": torch.zeros(WIDTH)}
    torch.save(state | more, tmp_path / "a.pth")
    model = models.build(made.params("vit", "tiny", tmp_path / "a.pth"), None)
    assert isinstance(model, vit.VisionTransformer)
    assert model.head.weight.abs().max() < 1e-3
    assert torch.equal(model.fc_norm.weight, torch.ones(WIDTH))


def test_a_checkpoint_with_other_objects_than_its_command_line_is_refused(tmp_path, state):
    torch.save({"model": state, "args": hashlib.sha256}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        models.build(made.params("vit", "tiny", tmp_path / "a.pth"), None)


def test_the_large_size_needs_weights():
    with pytest.raises(UserError, match=r"The model vit-b16 needs weights: set model.weights.path"):
        models.build(made.params("vit", "vit-b16"), None)


def test_settings_name_the_weights_by_digest_and_not_by_place(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    params = made.params("vit", "tiny", tmp_path / "a.pth")
    told = models.settings(params)
    assert told["weights"] == weights.sha256(tmp_path / "a.pth")
    assert str(tmp_path) not in json.dumps(told)
    assert models.settings(made.params("vit", "tiny"))["weights"] == ""


def test_a_vits_numbers_depend_on_seed_and_name_alone():
    params = made.params("vit", "tiny")
    torch.manual_seed(1)
    one = models.build(params, None, seed=3).state_dict()
    torch.manual_seed(2)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    same = models.build(params, None, seed=3).state_dict()
    torch.set_num_threads(threads)
    other = models.build(params, None, seed=4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    weight = "encoder.embeddings.patch_embeddings.projection.weight"
    assert not torch.equal(one[weight], other[weight])
    # Stored numbers: a run must not start elsewhere unnoticed.
    first = one[weight].flatten()[:3].tolist()
    assert first == pytest.approx([-0.0120672146, 0.0053393431, -0.053266529], abs=1e-8)


def test_building_moves_nobody_elses_random_numbers():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    models.build(made.params("vit", "tiny"), None)
    assert torch.equal(torch.rand(3), expected)


def test_the_large_size_is_a_vit_b16():
    model = models.skeleton(made.params("vit", "vit-b16"), None)
    assert isinstance(model, vit.VisionTransformer)
    # ViT-B/16 without its head has 85,798,656 parameters; its final norm is our fc_norm.
    headless = sum(p.numel() for name, p in model.named_parameters() if "head" not in name)
    assert headless == 85_798_656


def test_every_parameter_learns():
    model = models.build(made.params("vit", "tiny"), None)
    outputs = model(_images(4))
    functional.cross_entropy(outputs.logits, torch.tensor([0, 1, 0, 1])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_the_fake_score_is_the_sum_over_all_classes_of_fakes(classes):
    model = models.build(made.params("vit", "tiny"), None, classes=classes)
    outputs = model(_images(4))
    assert outputs.logits.shape == (4, classes)
    random = torch.Generator().manual_seed(classes)
    logits = 20 * torch.randn(1000, classes, generator=random)
    found = model.fake_probability(Outputs(logits, outputs.embedding))
    fakes = logits.double()[:, 1:].logsumexp(dim=1) - logits.double().logsumexp(dim=1)
    torch.testing.assert_close(found.double(), fakes.exp(), rtol=1e-5, atol=1e-12)
    assert ((found >= 0) & (found <= 1)).all()


def test_the_first_numbers_of_a_model_do_not_depend_on_its_classes():
    two = models.build(made.params("vit", "tiny"), None).state_dict()
    six = models.build(made.params("vit", "tiny"), None, classes=6).state_dict()
    assert [name for name in two if not torch.equal(two[name], six[name])] == [
        "head.weight",
        "head.bias",
    ]


def test_the_norm_stands_where_it_is_told_to(tmp_path, state):
    torch.save(state, tmp_path / "a.pth")
    params = made.params("vit", "tiny", tmp_path / "a.pth")
    embedding, head, none = (
        models.build(replace(params, fc_norm=where), None).eval()
        for where in ("embedding", "head", "none")
    )
    assert not [name for name in none.state_dict() if name.startswith("fc_norm")]
    gain, shift = torch.rand(WIDTH) + 0.5, torch.randn(WIDTH)
    for model in (embedding, head):
        model.load_state_dict({"fc_norm.weight": gain, "fc_norm.bias": shift}, strict=False)
    with torch.no_grad():
        # Weights of a size at which the heads' outputs can be told apart.
        for model in (embedding, head, none):
            model.head.weight.mul_(1e4)
        normed, bare, without = (model(_images(3)) for model in (embedding, head, none))
    mean = without.embedding
    expected = functional.layer_norm(mean, (WIDTH,), gain, shift, 1e-6)
    torch.testing.assert_close(bare.embedding, mean, rtol=0, atol=0)
    torch.testing.assert_close(normed.embedding, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(bare.logits, normed.logits, rtol=0, atol=0)
    torch.testing.assert_close(without.logits, none.head(mean), rtol=0, atol=0)
    assert not torch.allclose(without.logits, normed.logits)


@pytest.mark.parametrize(
    ("part", "trained"),
    [
        ("head", {"head"}),
        ("norms", {"head", "fc_norm", "layernorm_before", "layernorm_after"}),
    ],
)
def test_only_the_part_that_is_to_be_trained_has_gradients(part, trained):
    model = models.build(replace(made.params("vit", "tiny"), trained=part), None)
    outputs = model(_images(4))
    functional.cross_entropy(outputs.logits, torch.tensor([0, 1, 0, 1])).backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert {name.rsplit(".", 2)[-2] for name in found} == trained
    assert len(found) == {"head": 2, "norms": 2 + 2 + 2 * 2 * 2}[part]
    assert all(grad.isfinite().all() for grad in found.values())
