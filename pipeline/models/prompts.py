"""The prompts of a graph as token numbers: a tokenizer made from them, or CLIP's own from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import CLIPTokenizer

from pipeline.errors import UserError
from pipeline.labels.levels import levels
from pipeline.labels.semantics import Graph

CONTEXT = 77
"""Tokens CLIP's text encoder reads, start and end included."""

START, END = "<|startoftext|>", "<|endoftext|>"

CLIP_VOCABULARY = 49408
CLIP_ENDS = (49406, 49407)
"""Numbers of CLIP's start and end tokens."""
CLIP_FILES = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""Either of these makes a tokenizer."""

Templates = Literal["region", "attribute", "simplified"]

_FULL = ("A photo of a fake {}", "A photo of a face with the global attribute of {} altered")
_ATTRIBUTE = (*_FULL, "A photo of a face with the local attribute of {} altered")
_SIMPLIFIED = ("fake", "altered {}", "altered {}")
"""Of the root, of a global attribute and of a local region."""

_WORD_END = "</w>"
_PROBE = "a photo of"
_PROBE_NUMBERS = [CLIP_ENDS[0], 320, 1125, 539, CLIP_ENDS[1]]
"""What the probe is in the vocabulary that OpenAI's weights were trained with."""


def of_graph(graph: Graph, templates: Templates) -> tuple[str, ...]:
    """One text per node of a label graph, in the order of its nodes.

    Args:
        graph: any; its own prompts are the templates "region".
        templates: ``region``, as the graph's own prompts are ("... with the local region eye
            altered", SJEDD, section IV-B1); ``attribute``, the public code's words for the nodes
            below the global attributes ("... with the local attribute of eye altered");
            ``simplified``: "fake", "altered expression", "altered eye" (section V-C1, Table VII).
    """
    if templates == "region":
        return graph.prompts
    wording = _ATTRIBUTE if templates == "attribute" else _SIMPLIFIED
    of = levels(graph)
    found = {
        node: words.format(graph.nodes[node].replace("_", " "))
        for words, nodes in zip(
            wording, (of.root, of.global_attributes, of.local_regions), strict=True
        )
        for node in nodes
    }
    return tuple(found[node] for node in range(len(graph.nodes)))


def made_tokenizer(prompts: Sequence[str]) -> CLIPTokenizer:
    """A CLIP tokenizer whose vocabulary is the words of the prompts; the same for the same words.

    A word is built up letter by letter from its beginning, so an unknown word of known letters
    still has an encoding, and different texts of known letters have different ones.
    """
    empty = CLIPTokenizer(vocab={START: 0, END: 1}, merges=[]).backend_tokenizer
    words = {
        word
        for prompt in prompts
        for word, _ in empty.pre_tokenizer.pre_tokenize_str(empty.normalizer.normalize_str(prompt))
    }
    letters = {letter for word in words for letter in word}
    vocabulary = [START, END, *sorted(letters), *sorted(letter + _WORD_END for letter in letters)]
    merges: dict[tuple[str, str], None] = {}
    for word in sorted(words):
        pieces = [*word[:-1], word[-1] + _WORD_END]
        begun = pieces[0]
        for piece in pieces[1:]:
            merges[begun, piece] = None
            begun += piece
    vocabulary += dict.fromkeys(first + second for first, second in merges)
    numbers = {token: number for number, token in enumerate(vocabulary)}
    pairs: list[Any] = list(merges)  # its annotation knows lines of merges.txt only
    return CLIPTokenizer(vocab=numbers, merges=pairs)


def clip_files(folder: Path) -> tuple[Path, ...]:
    """The files in the folder that make CLIP's tokenizer.

    Raises:
        UserError: they are not there.
    """
    for names in CLIP_FILES:
        paths = tuple(folder / name for name in names)
        if all(path.is_file() for path in paths):
            return paths
    raise UserError(
        f"CLIP needs its tokenizer beside its weights: put tokenizer.json, or "
        f"vocab.json and merges.txt, of openai/clip-vit-base-patch32 into {folder.absolute()}."
    )


def clip_tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's own tokenizer from its files in a folder; nothing is looked up elsewhere.

    Raises:
        UserError: the files are missing, unreadable, or of another vocabulary than CLIP's.
    """
    files = ", ".join(str(path) for path in clip_files(folder))
    try:
        tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        numbers = tokenizer(_PROBE)["input_ids"]
    except Exception as error:
        # The tokenizers library raises nothing narrower for files it cannot use.
        raise UserError(
            f"{files} cannot be read as CLIP's tokenizer. Put the files of "
            "openai/clip-vit-base-patch32 there."
        ) from error
    if len(tokenizer) != CLIP_VOCABULARY or numbers != _PROBE_NUMBERS:
        raise UserError(
            f"{files} are not CLIP's vocabulary: {len(tokenizer)} tokens, and {_PROBE!r} is "
            f"{numbers}. Put the files of openai/clip-vit-base-patch32 there."
        )
    return tokenizer


def token_numbers(tokenizer: CLIPTokenizer, prompts: Sequence[str]) -> Tensor:
    """The prompts as int64 (N, 77): start, words, end, and the end repeated.

    What follows the first end is never looked at: each token sees the ones before it alone.

    Raises:
        UserError: a prompt is longer than CLIP's context. It would lose its end silently.
    """
    rows = []
    for prompt in prompts:
        numbers = tokenizer(prompt)["input_ids"]
        if len(numbers) > CONTEXT:
            raise UserError(
                f"The prompt {prompt!r} has {len(numbers)} tokens, CLIP reads {CONTEXT}. "
                "Shorten it in semantics.yaml."
            )
        rows.append(numbers + [tokenizer.eos_token_id] * (CONTEXT - len(numbers)))
    return torch.tensor(rows, dtype=torch.int64)  # (N, 77)
