"""The shortcut probe: can fakes be told from reals by what is not the face?

A small classifier sees how each sample was filmed, found and stored, and none of its pixels. Where
it does better than chance, so can a detector, without having learned anything about faces. What
chance gives is found by shuffling labels: with a handful of videos it is a wide range.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.tree import DecisionTreeClassifier

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]
Folds = Sequence[tuple[Ints, Ints]]

FEWEST_GROUPS = 4
"""Of each class; below, nothing can be said."""
TELLS = 0.6
"""An AUC from which on something is said to tell, if chance gives less."""
CHANCE = 0.5
SHUFFLES = 19
"""An AUC above all of so many shuffles is chance once in twenty times."""
_FOLDS = 5
_TREES = 20
_TREE_SAMPLES = 1000
_MOST_OF_A_TREE = 0.8
_LEAF = 5


@dataclass(frozen=True)
class Answer:
    """How well some columns tell fakes from reals in videos that were not seen."""

    auc: float
    """0.5 = they tell nothing."""
    chance: tuple[float, float] | None = None
    """The least and the greatest AUC with shuffled labels; None where the AUC is no matter."""

    @property
    def tells(self) -> bool:
        """Whether it is more than chance, and enough to matter."""
        return self.chance is not None and self.auc > self.chance[1]


@dataclass(frozen=True)
class Shortcut:
    """What the probe found about some reals and some fakes of one dataset."""

    dataset: str
    folder: str
    """Which fakes: those of a split, or ``expanded``."""
    samples: int
    groups: int
    """Videos, those of one scene taken together."""
    whole: Answer | None = None
    """Of all columns; None = too few videos."""
    apart: Answer | None = None
    """Without columns that the picture itself decides: a blurred face needs fewer bytes."""
    columns: tuple[tuple[str, float], ...] = ()
    """Each column with its AUC alone, the greatest first."""


def probe(
    dataset: str,
    folder: str,
    columns: Mapping[str, Values],
    of_picture: Sequence[str],
    fake: Flags,
    videos: Sequence[str],
    groups: Sequence[str],
) -> Shortcut:
    """Trains the classifier and asks it about videos that it did not see.

    Args:
        dataset: for the answer.
        folder: likewise.
        columns: float64 (n,) each; -1 where nothing is known.
        of_picture: names of columns that the picture itself decides.
        fake: bool (n,).
        videos: of each sample; its labels are shuffled together.
        groups: of each sample; those of one group are trained on or asked about together.
    """
    group = _codes(groups)
    nothing = Shortcut(dataset, folder, len(fake), int(group.max()) + 1)
    fewest = min(len(np.unique(group[fake == side])) for side in (False, True))
    if fewest < FEWEST_GROUPS:
        return nothing
    split = StratifiedGroupKFold(min(_FOLDS, fewest), shuffle=True, random_state=0)
    folds = list(split.split(fake, fake, group))
    known = {name: values for name, values in columns.items() if np.ptp(values) > 0}
    alone = {
        name: _auc(fake, _unseen(_tree(), values[:, None], fake, folds))
        for name, values in known.items()
    }
    shuffled = list(_shuffles(fake, _codes(videos), group))
    kinds = [known, {n: v for n, v in known.items() if n not in of_picture}]
    whole, apart = (_answer(list(kind.values()), fake, shuffled, folds) for kind in kinds)
    ranked = sorted(alone.items(), key=lambda item: (-item[1], item[0]))
    return Shortcut(dataset, folder, len(fake), nothing.groups, whole, apart, tuple(ranked))


def _answer(values: list[Values], fake: Flags, shuffled: list[Flags], folds: Folds) -> Answer:
    if not values:
        return Answer(CHANCE)
    together = np.column_stack(values)  # (n, c)

    def asked(labels: Flags) -> float:
        return _auc(labels, _unseen(_boosted(len(fake)), together, labels, folds))

    auc = asked(fake)
    if auc < TELLS:
        return Answer(auc)
    by_chance = [asked(labels) for labels in shuffled]
    return Answer(auc, (min(by_chance), max(by_chance)))


def _shuffles(fake: Flags, video: Ints, group: Ints) -> Iterator[Flags]:
    """Labels (n,) that are as many and as grouped as the true ones, and say nothing.

    Samples of a video and label stay together. Within a scene that has both, labels change places;
    scenes of one class alone change them among each other.
    """
    random = np.random.Generator(np.random.Philox(key=0))
    unit = _codes([f"{v} {f}" for v, f in zip(video.tolist(), fake.tolist(), strict=True)])
    first = np.unique(unit, return_index=True)[1]
    label, scene = fake[first], group[first]  # of each unit
    mixed = np.array([len(np.unique(label[scene == one])) > 1 for one in scene])
    place = np.where(mixed, scene, -1)
    for _ in range(SHUFFLES):
        given = label.copy()
        for one in np.unique(place):
            there = np.flatnonzero(place == one)
            given[there] = label[random.permutation(there)]
        yield given[unit]


def _boosted(samples: int) -> Any:
    return GradientBoostingClassifier(
        n_estimators=_TREES,
        min_samples_leaf=_LEAF,
        subsample=min(_MOST_OF_A_TREE, _TREE_SAMPLES / samples),
        random_state=0,
    )


def _tree() -> Any:
    return DecisionTreeClassifier(
        max_leaf_nodes=16, min_samples_leaf=_LEAF, class_weight="balanced", random_state=0
    )


def _unseen(model: Any, values: Values, fake: Flags, folds: Folds) -> Values:
    """Scores (n,) of samples by models that did not see their videos.

    As ranks within a fold, since models of different folds call different numbers likely; ties are
    in the middle.
    """
    scores = np.full(len(fake), CHANCE)
    for seen, asked in folds:
        if not fake[seen].any() or fake[seen].all():
            continue
        found = model.fit(values[seen], fake[seen]).predict_proba(values[asked])[:, 1]
        _, place, count = np.unique(found, return_inverse=True, return_counts=True)
        scores[asked] = ((np.cumsum(count) - count / 2) / len(found))[place]
    return scores


def _codes(names: Sequence[str]) -> Ints:
    return np.unique(np.asarray(names, object), return_inverse=True)[1].astype(np.int64)


def _auc(fake: Flags, scores: Values) -> float:
    return float(np.round(roc_auc_score(fake, scores), 3))
