"""Writing a clip: H.264 in MP4, the same bytes every time."""

from collections.abc import Iterable
from pathlib import Path

import av
import cv2
import numpy as np

from faceshards.images import Image
from pipeline.sample_data.shot import Format

_CRF = 20
"""Quality of the clips; FaceForensics++ calls its own setting of 23 high quality."""


def write_clip(path: Path, form: Format, frames: Iterable[Image]) -> int:
    """Writes uint8 (H, W, 3) RGB frames as H.264; returns their number."""
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=form.fps)
        stream.width, stream.height, stream.pix_fmt = form.width_px, form.height_px, "yuv420p"
        # The encoder's decisions depend on how many threads share the work.
        stream.thread_count = 1
        stream.options = {"crf": str(_CRF), "preset": "superfast", "threads": "1"}
        for image in frames:
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = count
            frame.time_base = 1 / form.fps
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count
