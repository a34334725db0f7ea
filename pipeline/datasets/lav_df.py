"""LAV-DF: words replaced in speech, in picture, voice or both; the forerunner of AV-Deepfake1M.

Rules:

- ``metadata.json`` decides; ``dev`` is val.
- ``fake_periods`` are those of picture and voice together: where both are fake, both are at the
  same times. Only these seconds of a fake are looked at.
- Where the voice alone is fake, ``datasets.audio_only`` decides.
- People are unknown. A fake's ``original`` is its scene.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.datasets import fake_parts, folders, lists
from pipeline.datasets.base import Adapter, Rejected, Source, Total, Video, wrong_root
from pipeline.datasets.fake_parts import SaidOfVideo
from pipeline.datasets.json_rows import json_rows

METADATA = "metadata.json"
METHOD = "wav2lip"
VOICE = "sv2tts"
SPLITS = {"train": "train", "dev": "val", "test": "test"}
"""Folders, and their splits."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    for root in source.roots:
        if not set(SPLITS) & set(folders.subfolders(root)):
            raise wrong_root(source, root, ADAPTER)
    file = lists.find(source, METADATA, "what each video is")
    rows = json_rows(source, file, "Take the official file.")
    yield from fake_parts.videos(source, map(_said, rows), METADATA)


def _said(row: Mapping[str, Any]) -> SaidOfVideo:
    name = fake_parts.file_name(row)
    split = SPLITS.get(str(row.get("split")), "")
    video, audio = row.get("modify_video"), row.get("modify_audio")
    if not isinstance(video, bool) or not isinstance(audio, bool):
        detail = f"modify_video and modify_audio are {video!r} and {audio!r}"
        return SaidOfVideo(name, problem=("unknown_label", detail))
    if not split:
        return SaidOfVideo(name, problem=("inconsistent", f"its split is {row.get('split')!r}"))
    scene = folders.stem(str(row.get("original") or name))
    method = METHOD if video else VOICE
    return SaidOfVideo(name, split, video, audio, row.get("fake_periods"), method, scene)


ADAPTER = Adapter(
    name="lav_df",
    title="LAV-DF",
    expects=f"{METADATA} and train/, dev/ and test/ below the root",
    read=_read,
    licence="CC BY-NC 4.0, and terms to accept",
    access="https://github.com/ControlNet/LAV-DF",
    expected=(
        Total(36_431, {"label": 0, "audio_fake": 0}),
        Total(136_304, note="with those of fake sound alone; see datasets.audio_only"),
    ),
)
