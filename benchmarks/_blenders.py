"""What a user would write instead: two ways to put a region of one face into another.

Both take uint8 (H, W, 3) RGB crops and float64 (68, 2) landmarks, and give JPEGs of quality 95.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image

Points = NDArray[np.float64]

DILATE_PX, SIGMA_PX = 4, 4.0


def _jpeg(image: Image) -> bytes:
    return bytes(
        cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    )


def usual_script(
    target: Image, source: Image, target_points: Points, source_points: Points, hull: slice
) -> bytes:
    """As public scripts do it: whole pictures, OpenCV's 8-bit Lab, the rest in float64."""
    height_px, width_px = target.shape[:2]
    matrix, _ = cv2.estimateAffinePartial2D(source_points[17:], target_points[17:])
    size = (width_px, height_px)
    warped = cv2.warpAffine(source, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros((height_px, width_px), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(target_points[hull]).astype(np.int32)), 255)
    side = 2 * DILATE_PX + 1
    mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    inside = mask > 0
    lab = cv2.cvtColor(warped, cv2.COLOR_RGB2LAB).astype(np.float64)
    wanted = cv2.cvtColor(target, cv2.COLOR_RGB2LAB).astype(np.float64)
    for channel in range(3):
        one, other = lab[:, :, channel], wanted[:, :, channel]
        gain = other[inside].std() / (one[inside].std() + 1e-6)
        lab[:, :, channel] = (one - one[inside].mean()) * gain + other[inside].mean()
    fixed = cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)
    alpha = cv2.GaussianBlur(mask, (0, 0), SIGMA_PX).astype(np.float64)[:, :, None] / 255
    mixed = alpha * fixed.astype(np.float64) + (1 - alpha) * target.astype(np.float64)
    return _jpeg(np.clip(mixed, 0, 255).astype(np.uint8))


def sbi_style(
    target: Image,
    source: Image,  # noqa: ARG001 - the target is blended with itself
    target_points: Points,
    source_points: Points,  # noqa: ARG001
    hull: slice,  # noqa: ARG001 - of all points
) -> bytes:
    """The steps of the public code of SBI, with OpenCV where it calls albumentations."""
    random = np.random.default_rng(0)
    height_px, width_px = target.shape[:2]
    mask = np.zeros((height_px, width_px), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(target_points).astype(np.int32)), 255)
    recolored = cv2.add(target, (*random.integers(-20, 20, 3).tolist(), 0))
    hsv = cv2.cvtColor(recolored, cv2.COLOR_RGB2HSV)
    recolored = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    recolored = cv2.convertScaleAbs(recolored, alpha=1.05, beta=5)
    matrix = np.array([[1.02, 0, 3], [0, 1.02, -2]])
    size = (width_px, height_px)
    moved = cv2.warpAffine(recolored, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.warpAffine(mask, matrix, size)
    fields = [
        cv2.GaussianBlur(random.uniform(-1, 1, mask.shape).astype(np.float32), (0, 0), 7) * 50
        for _ in range(2)
    ]
    x, y = np.meshgrid(np.arange(width_px), np.arange(height_px))
    mask = cv2.remap(
        mask,
        (x + fields[0]).astype(np.float32),
        (y + fields[1]).astype(np.float32),
        cv2.INTER_LINEAR,
    )
    soft = cv2.resize(mask.astype(np.float64) / 255, (224, 224))
    soft = cv2.GaussianBlur(soft, (15, 15), 0)
    soft = soft / soft.max()
    soft[soft < 1] = 0
    soft = cv2.GaussianBlur(soft, (15, 15), 25)
    soft = cv2.resize(soft / soft.max(), size)[:, :, None]
    mixed = soft * moved + (1 - soft) * target
    return _jpeg(mixed.astype(np.uint8))
