"""What whoever runs the expansion must see."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from faceshards.fields import GENERATORS
from pipeline.config.params import ExpandParams, Params
from pipeline.expansion.people import known
from pipeline.expansion.regions import OUTLINES

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
_ROLES = ("targets", "sources")
_OF_PAIRS = {
    "size_differs": "sources of another size than their target",
    "turn_differs": "sources turned against their target",
    "pose_differs": "sources of another pose than their target",
}
_OF_REGIONS = {
    "leaves_crop": "targets whose region leaves the crop",
    "mouth_differs": "targets whose nearest source has its mouth open otherwise",
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
    refused = _refused(counts, "")
    why = f" Refused: {refused}." if refused else ""
    return [
        f"{dataset}: {generator} can make {', '.join(missing)} of the samples that are wanted.{why}"
    ]


class RegionCounts(NamedTuple):
    """What is planned of one region by one generator."""

    dataset: str
    generator: str
    region: str
    wanted: int
    planned: int
    replaced: int
    """Of those planned: took the place of one that was refused."""
    refused: str
    """How many faces and pairs were refused, and why."""


def by_region(counts: Mapping[str, int]) -> list[RegionCounts]:
    """The counts of a plan as rows, by dataset, generator and region.

    Args:
        counts: as in :class:`pipeline.expansion.plan.Expansion`; others are passed over.
    """
    found = []
    for generator in GENERATORS:
        for region in OUTLINES:
            end = f"_{generator}_{region}_planned"
            for dataset in sorted(name.removesuffix(end) for name in counts if name.endswith(end)):
                start = f"{dataset}_{generator}_"
                mine = {k.removeprefix(start): n for k, n in counts.items() if k.startswith(start)}
                wanted, planned, replaced = (
                    mine[f"{region}_{name}"] for name in ("wanted", "planned", "replaced")
                )
                why = _refused(mine, region)
                row = RegionCounts(dataset, generator, region, wanted, planned, replaced, why)
                found.append(row)
    return sorted(found, key=lambda row: row.dataset)


def _refused(counts: Mapping[str, int], region: str) -> str:
    """What a generator refused of a dataset, and of a region of it where one is named."""
    words = {f"{role}_{r}": f"{role} {w}" for role in _ROLES for r, w in _WORDS.items()}
    words |= {f"pairs_{reason}": text for reason, text in _OF_PAIRS.items()}
    words |= {f"{region}_{reason}": text for reason, text in _OF_REGIONS.items()}
    return "; ".join(f"{counts[k]} {text}" for k, text in words.items() if counts.get(k))
