"""How many samples there are to be, and of which faces."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from faceshards import keys
from pipeline.config.params import ExpandParams
from pipeline.errors import UserError
from pipeline.selection.quotas import equal_quotas
from pipeline.tables.arrays import Bools


def matching_count(dataset: str, candidates: pa.Table, params: ExpandParams) -> int:
    """Mean number of samples of the manipulations that parameters name, rounded half up.

    Args:
        dataset: for the message.
        candidates: columns ``label`` and ``method``.
        params: ``source_methods`` are those that count. Where whole faces alone are made, none of
            them need be there, and all manipulations count.

    Raises:
        UserError: there are none.
    """
    fakes = candidates["method"].filter(pc.equal(candidates["label"], 1))
    named = fakes.filter(pc.is_in(fakes, value_set=pa.array(params.source_methods, pa.string())))
    if not len(named) and "swap" not in params.generators:
        named = fakes
    there = len(pc.unique(named))
    if not there:
        raise UserError(
            f"expand.per_region is match, but {dataset} has no fake train samples of "
            f"{' or '.join(params.source_methods)} to match. Give a number."
        )
    return (2 * len(named) + there) // (2 * there)


def choose_targets(
    face_ids: Sequence[str], video_ids: Sequence[str], usable: Bools, wanted: int, salt: str
) -> list[tuple[int, int]]:
    """Chooses faces equally over videos, in rounds of which each face is in once at most.

    Args:
        face_ids: the faces there are, unique.
        video_ids: the video of each.
        usable: bool (faces, rounds).
        wanted: how many are to be chosen; fewer where the rounds are over.
        salt: another salt, another choice.

    Returns:
        (index into ``face_ids``, round from 0) of each choice.
    """
    order = sorted(range(len(face_ids)), key=lambda i: keys.hash64(f"{salt}/{face_ids[i]}"))
    preferred = sorted(set(video_ids), key=lambda video: keys.hash64(f"{salt}/{video}"))
    chosen: list[tuple[int, int]] = []
    for round_ in range(usable.shape[1]):
        by_video: dict[str, list[int]] = {video: [] for video in preferred}
        for index in order:
            if usable[index, round_]:
                by_video[video_ids[index]].append(index)
        available = np.array([len(by_video[video]) for video in preferred], np.int64)
        quotas = equal_quotas(available, wanted - len(chosen)).tolist()
        for video, quota in zip(preferred, quotas, strict=True):
            chosen += [(index, round_) for index in by_video[video][:quota]]
    return chosen
