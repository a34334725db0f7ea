"""A trained run for use: faces in, probabilities out; no state changes while it works.

For services: ``Predictor.load("run")`` in a project's folder, then :meth:`Predictor.score` from as
many threads as one likes.
"""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faceshards.images import Image
from faceshards.samples import resized
from pipeline import config
from pipeline.config.params import Params
from pipeline.errors import UserError
from pipeline.evaluation import calibration
from pipeline.evaluation.score import load_run, score_images
from pipeline.labels import semantics
from pipeline.labels.semantics import Graph
from pipeline.models import Classifier, device
from pipeline.models.relevance import relevance
from pipeline.prediction import words
from pipeline.training import data
from pipeline.versions import version


@dataclass(frozen=True)
class FaceScores:
    """What a model says of B faces."""

    scores: NDArray[np.float64]
    """(B,) probability of being fake, as the model gives it."""
    log_odds: NDArray[np.float64]
    """(B,) logarithm of p / (1 - p) of the same, without its rounding."""
    nodes: NDArray[np.float64]
    """(B, N) probability that each node of the graph is altered; N is 0 without a graph."""


@dataclass(frozen=True)
class Verdict:
    """What is said of one video or picture."""

    word: words.Word
    """See :func:`pipeline.prediction.words.verdict`."""
    score: float
    """Mean probability over its faces, in [0, 1]: the number that ``evaluate`` judges by."""
    probability: float
    """That it is fake: the mean log-odds over the temperature that val gave; ``score`` where the
    run has none."""
    sentence: str
    """What is altered, in words; "" where the model has no label graph."""


class Predictor:
    """A trained model, ready.

    Args:
        model: it is moved to the device and set to evaluation.
        graph: label graph of a joint embedding; None for others.
        threshold: a mean score at or above it is called fake.
        temperature: that log-odds are divided by to be probabilities; 0 = none is known.
        where: the device.
    """

    def __init__(
        self,
        model: Classifier,
        graph: Graph | None = None,
        threshold: float = 0.5,
        temperature: float = 0.0,
        where: torch.device | None = None,
    ) -> None:
        self.model = model.eval().to(where or torch.device("cpu"))
        self.graph = graph
        self.threshold = threshold
        self.temperature = temperature
        self._where = where or torch.device("cpu")
        self._alone = threading.Lock()

    @classmethod
    def load(cls, run: str, project: Path = Path()) -> "Predictor":
        """The best model of a run of a project.

        Raises:
            UserError: there is no such run, or it is not trained, or with other parameters.
        """
        params = config.load(project / config.PARAMS)
        if run not in params.runs:
            have = ", ".join(params.runs) or "none"
            raise UserError(f"There is no run {run!r} in params.yaml; there are: {have}.")
        graph = graph_of(params, run, project)
        model = load_run(
            project / "models" / run, run, params.runs[run], params.seed, version("train"), graph
        )
        fitted = _fitted(project / "predictions" / run / "metrics.json")
        return cls(model, graph, params.evaluate.threshold, fitted, device.prepare())

    def score(self, faces: Sequence[Image]) -> FaceScores:
        """Scores of faces, cut out as the stage ``faces`` does. Safe to call from many threads.

        Args:
            faces: uint8 (H, W, 3) RGB each, square; scaled as in training.
        """
        return FaceScores(*score_images(self.model, self._images(faces)))

    def relevance(self, faces: Sequence[Image]) -> NDArray[np.float32]:
        """Where the model looks, (B, h, w), see :func:`pipeline.models.relevance.relevance`.

        One call at a time runs; others wait.
        """
        shown = data.normalised(self._images(faces), self.model.mean, self.model.std)
        with self._alone:
            return relevance(self.model, shown)

    def verdict(self, found: FaceScores) -> Verdict:
        """What is said of a video whose faces these are; one or more.

        Scores are averaged over faces (metric learning, section 4.3), and so are the probabilities
        of nodes.
        """
        score = float(found.scores.mean())
        probability = score
        if self.temperature:
            odds = found.log_odds.mean() / self.temperature
            probability = float(calibration.probability(np.array([odds]))[0])
        word = words.verdict(probability, score, self.threshold)
        sentence = ""
        if self.graph is not None:
            nodes = [probability, *found.nodes.mean(axis=0)[1:].tolist()]
            sentence = words.explanation(word, self.graph, nodes)
        return Verdict(word, score, probability, sentence)

    def _images(self, faces: Sequence[Image]) -> torch.Tensor:
        side = self.model.image_px
        same = [f if f.shape == (side, side, 3) else resized(f, side) for f in faces]
        return torch.from_numpy(np.stack(same)).to(self._where)  # (B, side, side, 3)


def graph_of(params: Params, run: str, project: Path) -> Graph | None:
    """The label graph that a run follows; None where it follows none."""
    name = params.runs[run].objective.graph
    if not name:
        return None
    return semantics.load(project / "manifests/semantics.yaml").graph(name)


def _fitted(path: Path) -> float:
    """The temperature that ``evaluate`` found on val; 0 where there is none."""
    if not path.is_file():
        return 0.0
    try:
        found = json.loads(path.read_text())
        return float(found.get("fitted", {}).get("temperature", 0.0))
    except (ValueError, AttributeError, TypeError):
        raise UserError(f"{path} is damaged. Make it anew with `dvc repro`.") from None
