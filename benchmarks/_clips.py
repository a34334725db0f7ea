"""Videos made for the benchmark; every frame carries its number along its upper edge."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

BITS = 10
MARK_PX = 16
_NOISE_FIELDS = 8


@dataclass(frozen=True)
class Recipe:
    """How a clip is encoded."""

    name: str
    height_px: int
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    suffix: str = "mp4"
    rate: int = 30
    variable: bool = False
    seconds: float | None = None
    """None: as long as the others."""
    filmed: str = ""
    """A clip below FACESHARDS_ASSETS whose frames are encoded, to and fro; "" for made ones."""


_FILMED_720P, _FILMED_1080P = "videos/real/lp_s18_wide.mp4", "videos/real/fsgan_conan_1080p.mp4"

RECIPES = (
    Recipe("h264_480p_default", 480),
    Recipe("h264_480p_gop12", 480, options={"g": "12"}),
    Recipe("h264_480p_short", 480, seconds=2.5),
    Recipe("mpeg4_480p_gop60", 480, "mpeg4", {"g": "60", "qscale": "4"}, "avi"),
    Recipe("h264_720p_gop12", 720, options={"g": "12"}),
    Recipe("h264_720p_gop30", 720, options={"g": "30"}),
    Recipe(
        "h264_720p_gop250_no_b",
        720,
        options={"bf": "0", "g": "250"},
        rate=25,
    ),
    Recipe("h264_720p_default", 720),
    Recipe("h264_720p_variable", 720, variable=True),
    Recipe("hevc_720p_default", 720, "libx265", {"x265-params": "log-level=0"}),
    Recipe(
        "vp9_720p",
        720,
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "5", "b": "2M"},
        "webm",
    ),
    Recipe("h264_1080p_default", 1080),
    Recipe("filmed_720p_gop12", 720, options={"g": "12"}, filmed=_FILMED_720P),
    Recipe("filmed_720p_gop30", 720, options={"g": "30"}, filmed=_FILMED_720P),
    Recipe("filmed_720p_default", 720, filmed=_FILMED_720P),
    Recipe("filmed_1080p_default", 1080, filmed=_FILMED_1080P),
    Recipe("h264_1080p_gop30", 1080, options={"g": "30"}),
)


def stamps(recipe: Recipe, seconds: float) -> list[int]:
    """Frame times in units of one frame of a constant rate; from 1 to 4 where it varies."""
    total = int((recipe.seconds or seconds) * recipe.rate)
    if not recipe.variable:
        return list(range(total))
    steps = np.random.Generator(np.random.Philox(key=1)).integers(1, 5, total)
    times = np.concatenate([[0], np.cumsum(steps)])
    return [int(t) for t in times if t < total]


def write(recipe: Recipe, folder: Path, seconds: float) -> Path:
    """Encodes a clip and returns its path."""
    path = folder / f"{recipe.name}.{recipe.suffix}"
    width = (recipe.height_px * 16 // 9 + 15) // 16 * 16
    times = stamps(recipe, seconds)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(recipe.codec, rate=recipe.rate, options=recipe.options)
        stream.width, stream.height, stream.pix_fmt = width, recipe.height_px, "yuv420p"
        tick_s = Fraction(1, recipe.rate)
        stream.codec_context.time_base = stream.time_base = tick_s
        frames = _filmed(recipe, times) if recipe.filmed else _frames(width, recipe, times)
        for number, (time, image) in enumerate(zip(times, frames, strict=True)):
            bits = np.array([(number >> bit) & 1 for bit in range(BITS)], np.uint8) * 219 + 16
            marked = width // BITS * BITS
            image[:MARK_PX, :marked] = np.repeat(bits, width // BITS)[None, :, None]
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = time, tick_s
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def number_of(image: NDArray[np.uint8]) -> int:
    """The number in a uint8 (H, W, 3) frame."""
    row = image[2 : MARK_PX - 2].mean(axis=(0, 2))
    levels = row[: len(row) // BITS * BITS].reshape(BITS, -1).mean(axis=1)
    return sum(int(level > 128) << bit for bit, level in enumerate(levels))


def _filmed(recipe: Recipe, times: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """The frames of a real clip, forwards and backwards until there are enough."""
    with av.open(str(Path(os.environ["FACESHARDS_ASSETS"]) / recipe.filmed)) as container:
        film = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    to_and_fro = [*range(len(film)), *range(len(film) - 2, 0, -1)]
    for number in range(len(times)):
        yield film[to_and_fro[number % len(to_and_fro)]].copy()


def _frames(width: int, recipe: Recipe, times: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """A camera that pans over a textured wall, two round things before it, grain."""
    height = recipe.height_px
    random = np.random.Generator(np.random.Philox(key=0))
    wall = np.zeros((height + 128, width + 256, 3), np.float32)
    for cells in (6, 20, 70, 200):
        coarse = random.normal(0, 30 / cells**0.35, (cells, cells, 3)).astype(np.float32)
        wall += cv2.resize(coarse, wall.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    wall = np.clip(wall + 128, 0, 255).astype(np.uint8)
    grain = [random.normal(0, 3, (height, width, 1)) for _ in range(_NOISE_FIELDS)]
    grains = [np.rint(field).astype(np.int16) for field in grain]
    for number, time in enumerate(times):
        x, y = int(128 + 120 * np.sin(time / 40)), int(64 + 60 * np.cos(time / 55))
        frame = wall[y : y + height, x : x + width].copy()
        for phase, color in ((0, (224, 172, 150)), (2, (120, 84, 70))):
            middle = (
                int(width * (0.35 + 0.15 * phase + 0.1 * np.sin(time / 23 + phase))),
                int(height * (0.5 + 0.1 * np.cos(time / 17 + phase))),
            )
            cv2.ellipse(frame, middle, (height // 7, height // 5), time % 40, 0, 360, color, -1)
        yield np.clip(frame + grains[number % _NOISE_FIELDS], 0, 255).astype(np.uint8)
