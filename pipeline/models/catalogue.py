"""From parameters to a classifier: sizes by name, weights by digest, numbers by seed."""

import argparse
from pathlib import Path

import torch

from pipeline import weights
from pipeline.config.run_params import ModelParams
from pipeline.errors import UserError
from pipeline.labels.semantics import Graph
from pipeline.models import backbone, clip, normalisation, prompts, vit
from pipeline.models.backbone import Backbone
from pipeline.models.base import Classifier, initialise
from pipeline.models.drop_path import drop_paths
from pipeline.models.hierarchy import GraphClassifier
from pipeline.models.joint_embedding import ImageScores, JointEmbedding
from pipeline.models.patch_classifier import PatchClassifier
from pipeline.models.vit import VisionTransformer

BINARY = 2
"""Classes where nothing else is said: real and fake."""
FOLDER = "folder"
"""The size that a folder of transformers' form has in its configuration."""
TINY = "tiny"
"""The size that needs no weights."""

_IN_A_FOLDER = "*model.[bs]*"
"""What transformers calls weights: pytorch_model.bin, model.safetensors."""


def build(
    params: ModelParams, graph: Graph | None, seed: int = 0, classes: int = BINARY
) -> Classifier:
    """The classifier to start training from, on the CPU.

    Every number is drawn by seed and name (the same for any thread count), then pretrained weights
    replace those they have.

    Args:
        params: architecture, size, weights and what is trained.
        graph: label graph whose nodes a joint embedding scores; a ViT needs none.
        seed: of the random numbers.
        classes: that a ViT tells apart, real first and all others fake; a joint embedding scores
            the graph's nodes instead.

    Raises:
        UserError: weights or tokenizer are missing, wrong or of another network; a prompt is too
            long.
    """
    file = weights_file(params)
    model = _make(params, graph, classes, file, seed)
    if params.size != FOLDER:  # whose kinds have rules of their own
        initialise(model, seed)
    if isinstance(model, PatchClassifier):
        model.initialise_head(seed)
        if isinstance(model, Backbone) and file is not None:
            model.load_pretrained(file)
        elif isinstance(model, VisionTransformer) and file is not None:
            # FSFM's checkpoints carry their command line besides the model.
            state = weights.load_state(file, section="model", classes=(argparse.Namespace,))
            model.load_pretrained(state, file)
        model.train_only(params.trained)
        drop_paths(model.blocks(), params.drop_path)
    elif isinstance(model, JointEmbedding | ImageScores):
        if file is not None:
            clip.refuse_torchscript(file, params.size)
            if problems := model.load_pretrained(weights.load_state(file)):
                raise UserError(
                    f"{file} does not fit {params.size}: {problems}. Give the weights of "
                    f"{clip.PUBLIC[params.size]} under transformers' names."
                )
        model.freeze(params.clip.freeze)
    return model


def skeleton(params: ModelParams, graph: Graph | None, classes: int = BINARY) -> Classifier:
    """The same classifier with arbitrary numbers in it, for a checkpoint of ours to be loaded into.

    Its arguments are those of :func:`build`. Needs neither weights nor tokenizer files: a
    checkpoint has the numbers, the input normalisation and the prompts. Of a model from a folder it
    needs the configuration.
    """
    return _make(params, graph, classes, None)


def image_px(params: ModelParams) -> int:
    """Height and width of the images that the model takes."""
    match params.architecture:
        case "vit" if params.size == FOLDER:
            return int(backbone.read_config(folder_of(params)).image_size)
        case "vit":
            return vit.SIZES[params.size].image_px
        case "joint_embedding":
            return clip.SIZES[params.size].image_px


def settings(params: ModelParams) -> dict[str, object]:
    """Everything that decides what :func:`build` makes, JSON-serialisable; files by digest.

    Raises:
        UserError: weights or tokenizer are missing or wrong.
    """
    file = weights_file(params)
    start = {"start": params.start} if params.start != "weights" else {}
    return start | {
        "architecture": params.architecture,
        "size": params.size,
        "weights": params.weights.sha256.lower() if file else "",
        "beside": {path.name: weights.sha256(path) for path in _beside(params, file)},
    }


def weights_file(params: ModelParams) -> Path | None:
    """The checked weights file; None for a model that starts from random numbers.

    Raises:
        UserError: the file is missing or another one than the parameters say.
    """
    if params.start == "random" or (params.size == TINY and not params.weights.path):
        return None
    purpose = f"The model {params.size}"
    return weights.find(params.weights, "model.weights", purpose, _IN_A_FOLDER)


def _beside(params: ModelParams, file: Path | None) -> tuple[Path, ...]:
    """Files beside the weights that are read besides them."""
    if params.size == FOLDER:
        config = folder_of(params) / backbone.CONFIG
        return (config, *normalisation.beside(config))
    if file is None:
        return ()
    match params.architecture:
        case "vit":
            return normalisation.beside(file)
        case "joint_embedding":
            unread = params.size == TINY or params.clip.head == "linear"
            return () if unread else prompts.clip_files(file.parent)


def folder_of(params: ModelParams) -> Path:
    """The folder of a model that is in one, whether its weights or the folder are named."""
    path = Path(params.weights.path).expanduser()
    return path if path.is_dir() else path.parent


def _make(
    params: ModelParams, graph: Graph | None, classes: int, file: Path | None, seed: int = 0
) -> Classifier:
    # transformers fills its models from torch's global generator; nobody else's draws should move.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params.architecture:
            case "vit" if params.size == FOLDER:
                model: Classifier = Backbone(folder_of(params), classes, params.fc_norm)
            case "vit":
                model = VisionTransformer(vit.SIZES[params.size], classes, params.fc_norm)
            case "joint_embedding":
                model = _over_graph(params, graph, file)
    model.evaluation = params.evaluation
    return model


def _over_graph(params: ModelParams, graph: Graph | None, file: Path | None) -> GraphClassifier:
    if graph is None:
        raise ValueError("a joint embedding scores the nodes of a label graph")
    dimensions, asked = clip.SIZES[params.size], params.clip
    root_needs_child = asked.states == "paper"
    if asked.head == "linear":
        return ImageScores(dimensions, graph, root_needs_child)
    texts = prompts.of_graph(graph, asked.templates)
    if params.size != TINY and file is None:
        tokens = torch.zeros(len(graph.nodes), prompts.CONTEXT, dtype=torch.int64)
        vocabulary, (start, end) = prompts.CLIP_VOCABULARY, prompts.CLIP_ENDS
    else:
        if params.size == TINY or file is None:
            tokenizer = prompts.made_tokenizer(texts)
        else:
            tokenizer = prompts.clip_tokenizer(file.parent)
        tokens = prompts.token_numbers(tokenizer, texts)
        vocabulary, start, end = len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id
    cosine = asked.score == "cosine"
    return JointEmbedding(
        dimensions, graph, tokens, vocabulary, start, end, root_needs_child, cosine
    )
