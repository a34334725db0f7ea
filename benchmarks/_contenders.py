"""Ways to get the frames at given times out of a video, one function each."""

import importlib
import re
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.video.decode import VideoReader

Frames = list[NDArray[np.uint8]]
Contender = Callable[[Path, Sequence[float]], Frames]
"""From a file and times in s to uint8 (H, W, 3) RGB frames, in order."""

MAX_SIDE_PX = 8192
_ONE_THREAD = [cv2.CAP_PROP_N_THREADS, 1]
_PPM = re.compile(rb"P6\s(\d+) (\d+)\s255\s")


def ours(path: Path, times_s: Sequence[float]) -> Frames:
    """This project's reader."""
    with VideoReader(path, MAX_SIDE_PX) as reader:
        return [frame.image for frame in reader.frames_at(times_s) for _ in frame.samples]


class _Decoding(VideoReader):
    """The same reader without the conversion to RGB."""

    _nothing = np.zeros((1, 1, 3), np.uint8)

    def _rgb(self, frame: VideoFrame, shape: Fraction | None) -> NDArray[np.uint8]:
        return self._nothing


def decoding_alone(path: Path, times_s: Sequence[float]) -> None:
    """What no exact reader can go below: decoding what the wanted frames need."""
    with _Decoding(path, MAX_SIDE_PX) as reader:
        deque(reader.frames_at(times_s), maxlen=0)


def _opencv_read(path: Path, times_s: Sequence[float], options: list[int]) -> Frames:
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    rate = capture.get(cv2.CAP_PROP_FPS)
    wanted = {round(t * rate) for t in times_s}
    frames: Frames = []
    number = 0
    while True:
        done, image = capture.read()
        if not done:
            break
        if number in wanted:
            frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        number += 1
    capture.release()
    return frames


def opencv_read(path: Path, times_s: Sequence[float]) -> Frames:
    """Reads every frame and keeps some, with the threads OpenCV takes by itself."""
    return _opencv_read(path, times_s, [])


def opencv_read_1_thread(path: Path, times_s: Sequence[float]) -> Frames:
    """The same with one thread."""
    return _opencv_read(path, times_s, _ONE_THREAD)


def opencv_seek(path: Path, times_s: Sequence[float]) -> Frames:
    """Seeks to each time."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, _ONE_THREAD)
    frames: Frames = []
    for time_s in times_s:
        capture.set(cv2.CAP_PROP_POS_MSEC, time_s * 1000)
        done, image = capture.read()
        if done:
            frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    capture.release()
    return frames


def decord(path: Path, times_s: Sequence[float]) -> Frames:
    """decord, by numbers of frames."""
    import decord as library

    reader = library.VideoReader(str(path), ctx=library.cpu(0), num_threads=1)
    numbers = [round(t * reader.get_avg_fps()) for t in times_s]
    return list(reader.get_batch([n for n in numbers if n < len(reader)]).asnumpy())


def torchcodec(path: Path, times_s: Sequence[float]) -> Frames:
    """Torchcodec in its exact mode, by times."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        str(path), seek_mode="exact", num_ffmpeg_threads=1, dimension_order="NHWC"
    )
    facts = decoder.metadata
    start, end = facts.begin_stream_seconds, facts.end_stream_seconds
    inside = [start + t for t in times_s if start + t < end]
    return list(decoder.get_frames_played_at(inside).data.numpy())


def ffmpeg_select(path: Path, times_s: Sequence[float]) -> Frames:
    """The ffmpeg program with its filter ``select``; the frames come through a pipe."""
    import imageio_ffmpeg

    step = times_s[1] - times_s[0] if len(times_s) > 1 else 1.0
    choose = f"select=isnan(prev_selected_t)+gt(floor(t/{step})\\,floor(prev_selected_t/{step}))"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-threads", "1", "-i", str(path)]
    command += ["-vf", choose, "-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    frames: Frames = []
    at = 0
    while header := _PPM.match(data, at):
        width, height = int(header[1]), int(header[2])
        image = np.frombuffer(data, np.uint8, width * height * 3, header.end())
        frames.append(image.reshape(height, width, 3))
        at = header.end() + image.size
    return frames


_NEEDS = {
    "decord": "decord",
    "torchcodec": "torchcodec.decoders",
    "ffmpeg_select": "imageio_ffmpeg",
}


def available() -> tuple[dict[str, Contender], dict[str, str]]:
    """Contenders that can run here, ours first; and why the others cannot."""
    everybody = (ours, opencv_read, opencv_read_1_thread, opencv_seek, decord, torchcodec)
    able: dict[str, Contender] = {}
    unable: dict[str, str] = {}
    for contender in (*everybody, ffmpeg_select):
        name = contender.__name__
        try:
            if name in _NEEDS:
                importlib.import_module(_NEEDS[name])
        except (ImportError, RuntimeError, OSError) as error:
            unable[name] = str(error).strip().splitlines()[0]
        else:
            able[name] = contender
    return able, unable
