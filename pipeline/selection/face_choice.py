"""Which faces count at all: good enough, and the ones of their picture or video that are wanted."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.config.params import FaceChoice
from pipeline.tables.arrays import Bools, Ints, place_in_run

Codes = npt.NDArray[np.int8]

_FILTERS = {
    "min_score": ("score", 0.0),
    "min_face_px": ("face_px", 0.0),
    "max_padded": ("padded", 1.0),
    "min_sharpness": ("sharpness", 0.0),
}
"""Parameter to the column it looks at, and the value at which it lets all faces pass."""
RULES = (*_FILTERS, "choose", "even_ends")
"""Parameters that leave faces out, in the order in which they do."""
COUNTS = -1
_CHOICE_COLUMNS = {
    "all": (),
    "largest": ("sample", "rank"),
    "largest_n": ("sample", "rank"),
    "main_track": ("track", "track_share", "face_px"),
    "min_track": ("track_share",),
    "altered": ("track", "altered"),
}
"""What each way to choose looks at."""

_DECIMALS = {"score": 4, "face_px": 4, "padded": 4, "sharpness": 2, "track_share": 4, "altered": 4}
"""Digits of a column that decide; it is stored in 32 bits."""
_NO_SCORE = UNKNOWN = -1.0
LEAST_MEAN = 0.002
"""A person of whose box less was altered, on average over a video, was not altered at all."""
LEAST_OF_MOST = 0.5
"""Others count who were altered at least so much as the person altered most: compression alters
faces as well, the more the harder it is."""


def columns(params: FaceChoice) -> tuple[str, ...]:
    """Columns of the table ``faces`` that :func:`left_out_by` looks at; none where all count."""
    looked_at = [
        column for rule, (column, neutral) in _FILTERS.items() if getattr(params, rule) != neutral
    ]
    ends = ("sample", "rank") if params.even_ends else ()
    return (*looked_at, *_CHOICE_COLUMNS[params.choose], *ends)


def left_out_by(faces: pa.Table, rows: Ints, video: Ints, params: FaceChoice) -> Codes:
    """Which rule leaves each face out: its place in :data:`RULES`, or :data:`COUNTS`.

    The filters come first; ``choose`` looks at the faces that passed them. ``largest`` and
    ``largest_n`` take those of lowest rank in each picture. ``main_track`` takes each video's track
    that is seen at the most planned times; of equal ones that of the larger faces (sum of their
    longer sides), then the earlier. ``min_track`` takes every track that is seen at a large enough
    share of them. ``altered`` takes, of each video, the track that was altered most, and besides
    every face and person of which at least ``min_altered`` was, see :func:`altered`. ``even_ends``
    comes last, see :func:`even_with_ends`.

    Args:
        faces: columns of the table ``faces``; only those are read that a rule looks at.
        rows: int64 (N,), which rows of the table are meant.
        video: int64 (N,), a number for the video of each.
        params: filters and choice, of one split.

    Returns:
        int8 (N,).
    """
    codes = np.full(len(rows), COUNTS, np.int8)
    for code, (rule, (column, neutral)) in enumerate(_FILTERS.items()):
        limit = getattr(params, rule)
        if limit != neutral:
            values = _numbers(faces, column, rows)
            fails = values > limit if rule == "max_padded" else values < limit
            codes[(codes == COUNTS) & fails & (values != _NO_SCORE)] = code
    left = np.flatnonzero(codes == COUNTS)
    codes[left[~_chosen(faces, rows[left], video[left], params)]] = RULES.index("choose")
    if params.even_ends:
        left = np.flatnonzero(codes == COUNTS)
        sample, rank = (faces.column(name).to_numpy()[rows[left]] for name in ("sample", "rank"))
        kept = even_with_ends(video[left], sample, rank, params.even_ends)
        codes[left[~kept]] = RULES.index("even_ends")
    return codes


def _chosen(faces: pa.Table, rows: Ints, video: Ints, params: FaceChoice) -> Bools:
    if params.choose == "all":
        return np.ones(len(rows), bool)
    if params.choose == "min_track":
        return np.asarray(_numbers(faces, "track_share", rows) >= params.min_track)
    if params.choose == "altered":
        known = _numbers(faces, "altered", rows)
        return altered(video, faces.column("track").to_numpy()[rows], known, params.min_altered)
    if params.choose == "main_track":
        share, face_px = (_numbers(faces, name, rows) for name in ("track_share", "face_px"))
        return main_tracks(video, faces.column("track").to_numpy()[rows], share, face_px)
    count = 1 if params.choose == "largest" else params.largest_n
    sample, rank = (faces.column(name).to_numpy()[rows] for name in ("sample", "rank"))
    order = np.lexsort((rank, sample, video))
    chosen = np.zeros(len(rows), bool)
    chosen[order] = place_in_run(video[order], sample[order]) < count
    return chosen


def even_with_ends(
    video: Ints, sample: npt.NDArray[np.int32], rank: npt.NDArray[np.int16], count: int
) -> Bools:
    """Whether each face is one of so many of its video. All are (faces,).

    Of n faces in the order of (sample, rank), the i-th that is taken is number floor(i (n - 1) /
    (count - 1)): the first, the last, and evenly between them, as SJEDD's released tester does. One
    that would be taken twice is taken once. A count of 1 takes the first.
    """
    order = np.lexsort((rank, sample, video))
    place = place_in_run(video[order])
    sizes = np.bincount(video)
    kept = np.zeros(len(video), bool)
    step = np.arange(count) if count > 1 else np.zeros(1, np.int64)
    for n in np.unique(sizes[sizes > 0]):
        mine = sizes[video[order]] == n
        kept[order[mine]] = np.isin(place[mine], step * (n - 1) // max(count - 1, 1))
    return kept


def main_tracks(
    video: Ints,
    track: npt.NDArray[np.int32],
    share: npt.NDArray[np.float64],
    face_px: npt.NDArray[np.float64],
) -> Bools:
    """Whether each face is of its video's main track; see :func:`left_out_by`. All are (faces,)."""
    if not len(video):
        return np.zeros(0, bool)
    order = np.lexsort((track, video))
    place = place_in_run(video[order], track[order])
    starts = np.flatnonzero(place == 0)
    tracks = order[starts]  # a face of each track
    size = np.add.reduceat(face_px[order], starts)
    best_first = np.lexsort((track[tracks], -size, -share[tracks], video[tracks]))
    main = np.zeros(len(tracks), bool)
    main[best_first[place_in_run(video[tracks][best_first]) == 0]] = True
    chosen = np.zeros(len(video), bool)
    chosen[order] = main[np.cumsum(place == 0) - 1]
    return chosen


def altered(
    video: Ints,
    track: npt.NDArray[np.int32],
    share: npt.NDArray[np.float64],
    least: float,
) -> Bools:
    """Whether each face was altered, or may have been. All are (faces,).

    A fake altered somebody: the track of the greatest mean share counts, as weak as that may be;
    but not where it is below :data:`LEAST_MEAN`, as in fakes of which the sound alone is fake. A
    face of which the share is not known counts as its track does. Where nothing is known of a
    video, all its faces count: reals are never looked at, and some fakes have no mask or pair.

    Args:
        video: a number for the video of each face.
        track: its track in the video.
        share: of its box, that was altered; -1 where it is not known.
        least: share at which a face or person counts as well, where it is also
            :data:`LEAST_OF_MOST` of the greatest mean one.
    """
    if not len(video):
        return np.zeros(0, bool)
    order = np.lexsort((track, video))
    begins = place_in_run(video[order], track[order]) == 0
    person = np.empty(len(video), np.int64)  # (faces,)
    person[order] = np.cumsum(begins) - 1
    tracks = order[begins]  # a face of each person
    known = share != UNKNOWN
    seen = np.bincount(person, weights=known)  # (people,)
    total = np.bincount(person, weights=np.where(known, share, 0))
    mean = np.where(seen > 0, total / np.maximum(seen, 1), UNKNOWN)
    of_video = video[tracks]  # (people,)
    best_first = np.lexsort((track[tracks], -mean, of_video))
    best = np.zeros(len(mean), bool)
    best[best_first[place_in_run(of_video[best_first]) == 0]] = True
    nothing = np.ones(int(video.max()) + 1, bool)
    nothing[video[known]] = False
    most = np.zeros(len(nothing))
    most[of_video[best]] = mean[best]
    enough = np.maximum(least, LEAST_OF_MOST * most)  # (videos,)
    counts = (best & (mean >= LEAST_MEAN)) | (mean >= enough[of_video])
    return np.asarray(nothing[video] | counts[person] | (known & (share >= enough[video])))


def _numbers(faces: pa.Table, column: str, rows: Ints) -> npt.NDArray[np.float64]:
    exact = faces.column(column).to_numpy()[rows].astype(np.float64)
    return np.asarray(np.round(exact, _DECIMALS[column]))
