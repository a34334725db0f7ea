"""What whoever runs the expansion must see."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config.params import ExpandParams, Params
from pipeline.expansion.people import known

_WORDS = {
    "unknown_person": (
        "of people who are not known (expand.identity says what else tells them apart)"
    ),
    "no_landmarks": "without landmarks",
    "coinciding_landmarks": "whose landmarks coincide",
    "implausible_landmarks": "whose landmarks are no face's",
    "no_source": "without a source of another person",
    "no_fitting_source": "whose nearest sources differ too much in size, turn or pose",
}


def off(params: Params) -> list[str]:
    """What is said where nothing is expanded."""
    if params.expand.datasets:
        return []
    points = ""
    if params.landmarks.landmarker == "none":
        points = (
            ": landmarks.landmarker is none, so faces have five points at most, and regions need 68"
        )
    return [f"off, since expand.datasets is empty{points}."]


def assumed(dataset: str, faces: pa.Table, params: ExpandParams) -> list[str]:
    """What is said where unknown people are taken for different ones."""
    if params.identity != "assume_different":
        return []
    videos = len(pc.unique(faces["video_id"].filter(pa.array(~known(faces)))))
    if not videos:
        return []
    return [
        f"expand.identity is assume_different: {videos} train videos of {dataset} do not say who "
        "is in them, and each is taken for a person of its own. Where two of them show the same "
        "person or scene, a real face may get its own region back and be called fake."
    ]


def short(
    dataset: str, generator: str, regions: Sequence[str], counts: Mapping[str, int]
) -> list[str]:
    """What is said where fewer samples are planned than are wanted, with the reasons.

    Args:
        dataset: its name.
        generator: its name.
        regions: that were wanted.
        counts: as in :class:`pipeline.expansion.plan.Expansion`, without dataset and generator.
    """
    missing = [
        f"{counts[f'{region}_planned']} of {counts[f'{region}_wanted']} of {region}"
        for region in regions
        if counts[f"{region}_planned"] < counts[f"{region}_wanted"]
    ]
    if not missing:
        return []
    refused = [
        f"{counts[f'{role}_{reason}']} {role} {words}"
        for role in ("targets", "sources")
        for reason, words in _WORDS.items()
        if counts.get(f"{role}_{reason}")
    ]
    why = f" Refused: {'; '.join(refused)}." if refused else ""
    return [
        f"{dataset}: {generator} can make {', '.join(missing)} of the samples that are wanted.{why}"
    ]
