"""What a model is worth on faces it was not trained on."""

import math

import numpy as np
import torch

from pipeline.models import Classifier
from pipeline.models.scores import auc
from pipeline.training.data import Faces, normalised
from pipeline.training.history import Means
from pipeline.training.objective import Objective


@torch.no_grad()
def validate(
    model: Classifier, objective: Objective, faces: Faces, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Mean losses over all faces, and ``auc`` by face, NaN where there is one class only.

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
    found["auc"] = auc(faces.labels, np.concatenate(scores)) if both and finite else math.nan
    return found
