"""What a model is worth on faces it was not trained on."""

import math

import numpy as np
import torch

from pipeline.models import Outputs
from pipeline.models.scores import auc
from pipeline.models.view import seen
from pipeline.training import ranks
from pipeline.training.data import Faces, standardised
from pipeline.training.history import Means
from pipeline.training.step import Learner

_THRESHOLD = 0.5
"""A score at or above it is judged fake."""


@torch.no_grad()
def validate(
    learner: Learner, faces: Faces, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Mean losses over all faces, ``auc`` by face, and ``accuracy``.

    AUC is NaN where there is one class only; accuracy is the share of faces judged right at 0.5.
    Leaves the model in evaluation mode.
    """
    sums, scores, model = Means(), [], learner.model
    model.eval()
    for batch in faces.batches(faces.in_order(batch_size)):
        here = batch.to(device)
        images = standardised(seen(here.images, model.evaluation), model.mean, model.std)
        lengths = ranks.lengths_of(images)
        if not len(images):  # a model takes no batch of nothing
            images = images.new_zeros((1, *images.shape[1:]))
        mine = learner.outputs(images)
        mine = Outputs(mine.logits[: len(here.labels)], mine.embedding[: len(here.labels)])
        outputs = ranks.gathered(mine, lengths)
        here = ranks.gathered(here.without_images(), lengths)
        sums.add(learner.objective.losses(outputs, here), len(here.labels))
        scores.append(model.fake_probability(outputs).cpu().numpy())
    found = sums.means()
    both = 0 < faces.labels.sum() < len(faces)
    finite = all(math.isfinite(value) for value in found.values())
    fake = np.concatenate(scores)  # (n,)
    found["auc"] = auc(faces.labels, fake) if both and finite else math.nan
    found["accuracy"] = float(np.mean((fake >= _THRESHOLD) == (faces.labels == 1)))
    return found
