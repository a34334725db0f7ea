"""The project's graphs, and weights files with the keys and shapes of the public ones."""

import argparse
import json
from pathlib import Path

import torch

from pipeline import weights
from pipeline.config.run_params import ModelParams
from pipeline.config.values import Weights
from pipeline.labels import semantics
from pipeline.models import prompts

SEMANTICS = semantics.load(Path(__file__).parents[2] / "manifests" / "semantics.yaml")
FFPP = SEMANTICS.graph("ffpp")


def timm_vit(width: int, layers: int, image_px: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """State of a ViT with patches of 16 px in timm's naming, as MAE and FSFM save it."""
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return 0.2 * torch.randn(shape, generator=random)

    state = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 1 + (image_px // 16) ** 2, width),
        "patch_embed.proj.weight": draw(width, 3, 16, 16),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": draw(width),
        "norm.bias": draw(width),
    }
    for n in range(layers):
        for name, shape in {
            "norm1.weight": (width,),
            "norm1.bias": (width,),
            "attn.qkv.weight": (3 * width, width),
            "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "norm2.weight": (width,),
            "norm2.bias": (width,),
            "mlp.fc1.weight": (4 * width, width),
            "mlp.fc1.bias": (4 * width,),
            "mlp.fc2.weight": (width, 4 * width),
            "mlp.fc2.bias": (width,),
        }.items():
            state[f"blocks.{n}.{name}"] = draw(*shape)
    return state


def fsfm_extras(width: int) -> dict[str, torch.Tensor]:
    """Some of what FSFM's pretraining leaves beside the encoder."""
    return {
        "mask_token": torch.zeros(1, 1, width),
        "rep_decoder_embed.weight": torch.zeros(width, width),
        "rep_decoder_blocks.0.attn.qkv.weight": torch.zeros(3 * width, width),
        "decoder_blocks.0.mlp.fc1.weight": torch.zeros(8, 8),
        "projector.projection_head.0.weight": torch.zeros(8, width),
        "predictor.projection_head.0.weight": torch.zeros(8, 8),
    }


def fsfm_checkpoint(path: Path, state: dict[str, torch.Tensor]) -> None:
    """What FSFM's pretraining saves: the model beside optimizer, scaler and command line."""
    args = argparse.Namespace(batch_size=64, blr=1.5e-4, output_dir="./out", distributed=True)
    torch.save(
        {
            "model": state,
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]},
            "epoch": 400,
            "scaler": {"scale": 65536.0},
            "args": args,
        },
        path,
    )


def transformers_4_vit(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights as transformers 4 names them in a ViTForImageClassification."""
    outer = {
        "cls_token": "embeddings.cls_token",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
        "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
        "norm.weight": "layernorm.weight",
        "norm.bias": "layernorm.bias",
    }
    inner = {
        "norm1": "layernorm_before",
        "norm2": "layernorm_after",
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }
    renamed = {f"vit.{new}": state[old] for old, new in outer.items()}
    for key, tensor in state.items():
        if not key.startswith("blocks."):
            continue
        _, n, rest = key.split(".", 2)
        name, kind = rest.rsplit(".", 1)
        layer = f"vit.encoder.layer.{n}"
        if name == "attn.qkv":
            width = len(tensor) // 3
            for i, part in enumerate(("query", "key", "value")):
                rows = tensor[i * width : (i + 1) * width]
                renamed[f"{layer}.attention.attention.{part}.{kind}"] = rows.clone()
        else:
            renamed[f"{layer}.{inner[name]}.{kind}"] = tensor
    renamed["classifier.weight"] = torch.zeros(1000, len(state["norm.weight"]))
    renamed["classifier.bias"] = torch.zeros(1000)
    return renamed


def clip_tokenizer_files(folder: Path, sentences: list[str]) -> None:
    """vocab.json and merges.txt of CLIP's size, with its numbers where the loader looks.

    Every other number has a word that no sentence uses.
    """
    made = prompts.made_tokenizer(["a photo of", *sentences])
    fixed = {
        "a</w>": 320,
        "photo</w>": 1125,
        "of</w>": 539,
        prompts.START: 49406,
        prompts.END: 49407,
    }
    words = [word for word in made.get_vocab() if word not in fixed]
    free = (n for n in range(prompts.CLIP_VOCABULARY) if n not in fixed.values())
    vocabulary = fixed | dict(zip(words, free, strict=False))
    vocabulary |= {f"filler{n}": n for n in free}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    merges = json.loads(made.backend_tokenizer.to_str())["model"]["merges"]
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")


def params(architecture: str, size: str, file: Path | None = None) -> ModelParams:
    """Parameters of a model that starts from a file, or from random numbers."""
    given = Weights(str(file), weights.sha256(file)) if file else Weights()
    return ModelParams(architecture, size, given)
