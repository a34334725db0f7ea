"""What a model is worth on faces it was not trained on."""

import math

import numpy as np
import torch

from pipeline.models import Classifier
from pipeline.models.scores import auc
from pipeline.training.data import Faces, normalised
from pipeline.training.history import Means
from pipeline.training.objective import Objective

_THRESHOLD = 0.5
"""A score at or above it is judged fake."""


@torch.no_grad()
def validate(
    model: Classifier, objective: Objective, faces: Faces, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Mean losses over all faces, ``auc`` by face, and ``accuracy``.

    AUC is NaN where there is one class only; accuracy is the share of faces judged right at 0.5.
    Leaves the model in evaluation mode.
    """
    sums, scores = Means(), []
    model.eval()
    for batch in faces.batches(faces.in_order(batch_size)):
        here = batch.to(device)
        outputs = model(normalised(here.images, model.mean, model.std))
        sums.add(objective.losses(outputs, here), len(here.labels))
        scores.append(model.fake_probability(outputs).cpu().numpy())
    found = sums.means()
    both = 0 < faces.labels.sum() < len(faces)
    finite = all(math.isfinite(value) for value in found.values())
    fake = np.concatenate(scores)  # (n,)
    found["auc"] = auc(faces.labels, fake) if both and finite else math.nan
    found["accuracy"] = float(np.mean((fake >= _THRESHOLD) == (faces.labels == 1)))
    return found
