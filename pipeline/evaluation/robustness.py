"""How a detector does on faces that were compressed, shrunk, blurred or noised before it sees them.

Pure functions of a face, with a strength from 1 to 5; 0 is the face as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from faceshards.images import decode_rgb, encode_jpeg
from faceshards.order import generator
from pipeline.evaluation import facts
from pipeline.evaluation.aggregate import per_video
from pipeline.evaluation.measures import Rules, measure

Face = NDArray[np.uint8]
Scored = Mapping[tuple[str, int], pa.Table]
"""Table ``predictions_faces`` of test by kind of change and strength."""

STRENGTHS: dict[str, tuple[float, ...]] = {
    "jpeg": (90, 70, 50, 30, 10),
    "resize": (0.75, 0.5, 0.35, 0.25, 0.15),
    "blur": (0.5, 1, 2, 3, 4),
    "noise": (2, 5, 10, 15, 25),
}
"""JPEG quality (4:2:0); share of the side that it is scaled down to, and up again; sigma of a
Gaussian in px of a face of 224 px; standard deviation of white noise in levels of 255."""
_BLUR_SIDE_PX = 224


def changed(image: Face, key: str, kind: str, strength: int) -> Face:
    """A face under one change.

    Args:
        image: uint8 (side, side, 3) RGB.
        key: id of the face; its noise is a function of this and of the strength alone.
        kind: a key of :data:`STRENGTHS`.
        strength: 1, the weakest, to 5.

    Returns:
        uint8 (side, side, 3).
    """
    amount = STRENGTHS[kind][strength - 1]
    side_px = image.shape[0]
    if kind == "jpeg":
        return decode_rgb(encode_jpeg(image, int(amount), "4:2:0"))
    if kind == "resize":
        small_px = max(1, round(amount * side_px))
        small = cv2.resize(image, (small_px, small_px), interpolation=cv2.INTER_AREA)
        back = cv2.resize(small, (side_px, side_px), interpolation=cv2.INTER_LINEAR)
        return np.asarray(back, np.uint8)
    if kind == "blur":
        sigma_px = amount * side_px / _BLUR_SIDE_PX
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)
    noise = generator(f"noise {strength} {key}").normal(0, amount, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def scored(
    kinds: Sequence[str], score: Callable[[Callable[[Face, str], Face]], pa.Table]
) -> dict[tuple[str, int], pa.Table]:
    """Scores of test under every change and strength.

    Args:
        kinds: keys of :data:`STRENGTHS`.
        score: scores all faces of test after a change of each.
    """
    return {
        (kind, strength): score(partial(changed, kind=kind, strength=strength))
        for kind in kinds
        for strength in range(1, len(STRENGTHS[kind]) + 1)
    }


def metrics(changes: Scored, clean: pa.Table, videos: pa.Table, rules: Rules) -> dict[str, Any]:
    """Numbers by kind and strength, overall and per dataset; not rounded.

    Args:
        changes: of :func:`scored`.
        clean: table ``predictions_faces``; its faces of test are strength 0.
        videos: table ``videos``.
        rules: how.

    Returns:
        ``<kind>``: ``<strength>``: ``overall`` and ``datasets``, each with the numbers of
        :func:`pipeline.evaluation.measures.measure`.
    """
    listed = videos.filter(pc.field("split") == "test")
    unchanged = _of(clean.filter(pc.field("split") == "test"), listed, rules)
    found: dict[str, Any] = {}
    for (kind, strength), faces in changes.items():
        found.setdefault(kind, {"0": unchanged})[str(strength)] = _of(faces, listed, rules)
    return found


def _of(faces: pa.Table, listed: pa.Table, rules: Rules) -> dict[str, Any]:
    known = facts.known(per_video(faces, listed), listed, faces)
    datasets = {}
    for name in sorted(set(known.column("dataset").to_pylist())):
        inside = pc.field("dataset") == name
        datasets[name] = measure(faces.filter(inside), known.filter(inside), rules)
    return {"overall": measure(faces, known, rules), "datasets": datasets}
