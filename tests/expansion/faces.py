"""Real pictures and a plausible set of 68 points for the tests of this folder."""

import numpy as np
import skimage.data
from numpy.typing import NDArray

SIZE_PX = 224


def _ellipse(cx: float, cy: float, rx: float, ry: float, n: int) -> list[tuple[float, float]]:
    turns = np.pi + 2 * np.pi * np.arange(n) / n
    return [(cx + rx * np.cos(t), cy + ry * np.sin(t)) for t in turns]


def points() -> NDArray[np.float64]:
    """(68, 2) iBUG points of a frontal face with a slightly open mouth, px of a 224 px crop."""
    jaw = [(112 - 80 * np.cos(t), 105 + 95 * np.sin(t)) for t in np.linspace(0, np.pi, 17)]
    brows = [(x, 70.0) for x in (50, 61, 72, 83, 94)] + [
        (x, 70.0) for x in (130, 141, 152, 163, 174)
    ]
    nose = [(112.0, y) for y in (85, 97, 109, 121)] + [(x, 130.0) for x in (98, 105, 112, 119, 126)]
    eyes = _ellipse(75, 90, 14, 6, 6) + _ellipse(149, 90, 14, 6, 6)
    mouth = _ellipse(112, 162, 30, 14, 12) + _ellipse(112, 162, 20, 5, 8)
    return np.array(jaw + brows + nose + eyes + mouth)


def crops() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A woman's face and a cat's, uint8 (224, 224, 3) RGB each."""
    woman = skimage.data.astronaut()[0:224, 112:336, :3]
    cat = skimage.data.chelsea()[40:264, 110:334, :3]
    return np.ascontiguousarray(woman), np.ascontiguousarray(cat)
