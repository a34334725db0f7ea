"""Frames as RGB, against the ffmpeg program's own conversion.

The tolerance is one level per value, with the same resampling filter. The program is told what it
does not take from the file: where the codec puts its chroma samples, and that fields are apart.
"""

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageSequence

from pipeline.errors import Reject
from pipeline.video.decode import VideoReader
from pipeline.video.probe import probe

SIDE_PX = 4096
TOLERANCE = 1
FILTER = "bilinear+accurate_rnd+full_chroma_int+bitexact"
CHROMA_ON_THE_LEFT = {"h264", "hevc", "mpeg2video"}
COLORFUL = "mandelbrot=size=192x108:rate=5,hue=s=2"

BT709 = ["-vf", "scale=out_color_matrix=bt709", "-colorspace", "bt709"]
ODD = ["-vf", "crop=161:91:exact=1"]
X264 = ["-c:v", "libx264", "-pix_fmt"]
SEE_THROUGH = "format=rgba,colorchannelmixer=aa=0.5"
FIELDS = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ildct+ilme"]
CASES = {
    "bt601.mp4": [*X264, "yuv420p"],
    "bt709.mp4": [*BT709, *X264, "yuv420p"],
    "full.mp4": ["-vf", "scale=out_range=full", "-color_range", "pc", *X264, "yuvj420p"],
    "full709.mkv": [
        *("-vf", "scale=out_range=full:out_color_matrix=bt709"),
        *("-color_range", "pc", "-colorspace", "bt709", *X264, "yuv420p"),
    ],
    "yuv422.mp4": [*X264, "yuv422p"],
    "yuv444.mp4": [*X264, "yuv444p"],
    "yuv411.mkv": ["-c:v", "ffv1", "-pix_fmt", "yuv411p"],
    "odd.mkv": [*ODD, "-c:v", "ffv1", "-pix_fmt", "yuv420p"],
    "odd.webm": [*ODD, "-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p"],
    "odd.avi": [*ODD, "-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"],
    "full_deep422.mov": [
        *("-vf", "scale=out_range=full:out_color_matrix=bt709"),
        *("-color_range", "pc", "-colorspace", "bt709", *X264, "yuv422p10le"),
    ],
    "grey.mp4": [*X264, "gray"],
    "deep.mp4": [*X264, "yuv420p10le"],
    "deep709.mp4": [
        *(*BT709, "-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le"),
    ],
    "rgb.mp4": ["-c:v", "libx264rgb", "-pix_fmt", "rgb24"],
    "alpha.mov": ["-vf", SEE_THROUGH, "-c:v", "prores_ks", "-pix_fmt", "yuva444p10le"],
    "alpha.webm": ["-vf", SEE_THROUGH, "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p"],
    "alpha_rgb.mov": ["-vf", SEE_THROUGH, "-c:v", "qtrle", "-pix_fmt", "argb"],
    "fields.ts": [*FIELDS, "-c:v", "mpeg2video"],
    "fields.mp4": [*FIELDS, *X264, "yuv420p", "-x264opts", "tff=1"],
    "wide.mp4": ["-vf", "setsar=16/11", *X264, "yuv420p"],
    "high.mp4": ["-vf", "setsar=8/9", *X264, "yuv420p"],
    "palette.gif": [],
    "palette.mov": ["-c:v", "png", "-pix_fmt", "pal8"],
    "motion.avi": ["-c:v", "mjpeg", "-q:v", "2"],
}


X265_DEEP = ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le"]
BT2020 = "scale=out_color_matrix=bt2020,setparams=colorspace=bt2020nc"
UNTOLD = ", transfer not told (the command takes it for SDR)"
REFUSED = {
    "bt2020.mkv": (["-vf", BT2020, *X265_DEEP], f"colors of BT.2020{UNTOLD}"),
    "pq.mp4": (["-vf", f"{BT2020}:color_trc=smpte2084", *X265_DEEP], "HDR (PQ)"),
    "hlg.mp4": (["-vf", f"{BT2020}:color_trc=arib-std-b67", *X265_DEEP], "HDR (HLG)"),
    "hlg.ts": (["-vf", f"{BT2020}:color_trc=arib-std-b67", *X265_DEEP], "HDR (HLG)"),
}


def ffmpeg(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def made(path: Path, options: list[str]) -> Path:
    ffmpeg("-f", "lavfi", "-t", "1", "-i", COLORFUL, *options, str(path))
    return path


def first(path: Path) -> np.ndarray:
    with VideoReader(path, SIDE_PX) as reader:
        return next(iter(reader.frames_at([0.0]))).image


@pytest.mark.parametrize("name", CASES)
def test_as_the_ffmpeg_program_converts(tmp_path, name):
    path = made(tmp_path / name, CASES[name])
    image = first(path)
    height, width = image.shape[:2]
    scale = f"scale={width}:{height}:interl=-1:flags={FILTER}"
    if probe(path, SIDE_PX).codec in CHROMA_ON_THE_LEFT:
        scale += ":in_chroma_loc=left"
    output = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = ffmpeg("-i", str(path), "-vf", scale, *output)
    wanted = np.frombuffer(data, np.uint8).reshape(image.shape).astype(int)
    assert np.abs(image - wanted).max() <= TOLERANCE
    assert np.ptp(wanted) > 100, "there is something to compare"


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_screen_cannot_show_as_it_is_stored_is_refused(tmp_path, name):
    options, said = REFUSED[name]
    with pytest.raises(Reject) as caught:
        probe(made(tmp_path / name, options), SIDE_PX)
    assert caught.value.reason == "unsupported_media"
    told, _, command = str(caught.value.detail).partition(": ffmpeg ")
    assert told == f"{said}; convert it to BT.709 (SDR) and list that"
    words = {"IN": str(tmp_path / name), "OUT.mp4": str(tmp_path / "converted.mp4")}
    ffmpeg(*(words.get(word, word) for word in command.split()))
    assert probe(tmp_path / "converted.mp4", SIDE_PX).primaries == "bt709"


@pytest.mark.parametrize(("turn_deg", "quarters"), [(90, 1), (180, 2), (270, 3)])
def test_square_pixels_and_the_turn_together(tmp_path, turn_deg, quarters):
    """Made square as stored, then turned counter-clockwise, as its flag says."""
    plain = made(tmp_path / "plain.mp4", ["-vf", "setsar=16/11", *X264, "yuv420p"])
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", str(turn_deg), "-i", str(plain), "-c", "copy", str(path))
    scale = f"scale=279:108:flags={FILTER}:in_chroma_loc=left"
    output = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = ffmpeg("-noautorotate", "-i", str(path), "-vf", scale, *output)
    upright = np.rot90(np.frombuffer(data, np.uint8).reshape(108, 279, 3), quarters)
    image = first(path)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).max() <= TOLERANCE


@pytest.mark.parametrize("disposal", [0, 1, 2, 3])
def test_a_gif_is_put_together_as_pillow_does(tmp_path, disposal):
    """Each frame holds only a patch; what becomes of it then, the file says."""
    palette = [0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]
    patches = []
    for k in range(8):
        patch = Image.new("P", (64, 48), 2 if k == 0 else 0)
        patch.putpalette(palette)
        ImageDraw.Draw(patch).rectangle([k * 5, k * 3, k * 5 + 15, k * 3 + 15], fill=1 + k % 4)
        patches.append(patch)
    path = tmp_path / "a.gif"
    patches[0].save(
        path, append_images=patches[1:], save_all=True, duration=100, transparency=0,
        disposal=disposal, optimize=False,
    )  # fmt: skip
    with Image.open(path) as file:
        wanted = [np.array(one.convert("RGBA")) for one in ImageSequence.Iterator(file)]
    with VideoReader(path, SIDE_PX) as reader:
        images = [p.image for p in reader.frames_at([k / 10 for k in range(8)])]
    assert len(images) == len(wanted) == 8
    for image, rgba in zip(images, wanted, strict=True):
        seen = rgba[..., 3] == 255
        assert np.array_equal(image[seen], rgba[seen][:, :3])
    assert len({image.tobytes() for image in images}) >= 7


def test_deep_colors_are_rounded_not_cut(tmp_path):
    """A grey ramp of 10 bits: the mean error would be half a level if it were cut."""
    path = tmp_path / "a.mkv"
    levels = np.linspace(64, 940, 256).round().astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 256, 64, "yuv420p10le"
        frame = av.VideoFrame(256, 64, "yuv420p10le")
        frame.planes[0].update(np.tile(levels, 64).tobytes())
        for plane in frame.planes[1:]:
            plane.update(np.full(plane.buffer_size // 2, 512, np.uint16).tobytes())
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    error = first(path) - ((levels / 4 - 16) / 219 * 255)[None, :, None]
    assert abs(error.mean()) < 0.05
    assert np.abs(error).max() <= 0.75


@pytest.mark.parametrize(
    ("shape", "size"), [("16/11", (279, 108)), ("8/9", (192, 122)), ("1001/1000", (192, 108))]
)
def test_pixels_become_square_and_none_is_lost(tmp_path, shape, size):
    path = made(tmp_path / "a.mp4", ["-vf", f"setsar={shape}", *X264, "yuv420p"])
    height, width = first(path).shape[:2]
    assert (width, height) == size
    assert (probe(path, SIDE_PX).width_px, probe(path, SIDE_PX).height_px) == (192, 108)


def test_absurd_pixels_are_refused(tmp_path):
    path = made(tmp_path / "a.mp4", ["-vf", "setsar=100/1", *X264, "yuv420p"])
    assert probe(path, 19_200).width_px == 192
    with pytest.raises(Reject) as caught:
        probe(path, 19_199)
    assert caught.value.reason == "bad_dimensions"
