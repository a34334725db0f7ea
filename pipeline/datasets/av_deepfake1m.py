"""AV-Deepfake1M and AV-Deepfake1M++: words replaced in speech, in picture, voice or both.

Rules:

- ``train_metadata.json`` and ``val_metadata.json`` list what there is; the test set has no labels.
- ``modify_type`` decides what is fake. Published lists give some videos of a fake voice the voice's
  segments as visual ones, so ``visual_fake_segments`` count only where the picture is fake.
- Only those seconds of a fake are looked at.
- Where the voice alone is fake, ``datasets.audio_only`` decides.
- People: a folder of VoxCeleb2 (``vox_celeb_2/id00012``) is a person; of the other sources the
  folder below theirs is what must not be in two splits.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.datasets import fake_parts, folders
from pipeline.datasets.base import Adapter, Rejected, Source, Total, Video, wrong_root
from pipeline.datasets.fake_parts import SaidOfVideo
from pipeline.datasets.json_rows import json_rows
from pipeline.datasets.shared_ids import VOXCELEB_ID, voxceleb

METADATA = {"train": "train_metadata.json", "val": "val_metadata.json"}
UNNAMED = "av_deepfake1m_unknown"
"""Method of a fake picture where the list does not say how it was made."""
UNNAMED_VOICE = "unknown_voice"
TYPES = {
    "real": (False, False),
    "visual_modified": (True, False),
    "audio_modified": (False, True),
    "both_modified": (True, True),
}
"""Whether picture and voice are fake, by ``modify_type``."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    found = [
        (split, root / name)
        for split, name in METADATA.items()
        for root in source.roots
        if (root / name).is_file()
    ]
    if not found:
        raise wrong_root(source, source.roots[0], ADAPTER)
    # Splits may have been unpacked into folders of their own, or all into one.
    apart = {s for s, _ in found if any(folders.subfolders(root / s) for root in source.roots)}
    together: list[Iterator[SaidOfVideo]] = []
    for split, file in found:
        said = _all_said(source, file, split, split in apart)
        if split in apart:
            yield from fake_parts.videos(source, said, file.name, levels=2)
        else:
            together.append(said)
    yield from fake_parts.videos(source, chain(*together), " or ".join(METADATA.values()))


def _all_said(source: Source, file: Path, split: str, apart: bool) -> Iterator[SaidOfVideo]:
    for row in json_rows(source, file, "Take the official file."):
        yield _said(row, split, apart)


def _said(row: Mapping[str, Any], split: str, apart: bool) -> SaidOfVideo:
    name = fake_parts.file_name(row)
    place = f"{split}/{name}" if apart and name else name
    kind = row.get("modify_type")
    if not isinstance(kind, str) or kind not in TYPES:
        return SaidOfVideo(place, problem=("unknown_label", f"modify_type is {kind!r}"))
    video_fake, audio_fake = TYPES[kind]
    voice, picture = row.get("audio_model"), row.get("video_model")
    parts = name.split("/")
    person = parts[1] if len(parts) > 1 and VOXCELEB_ID.fullmatch(parts[1]) else ""
    return SaidOfVideo(
        file=place,
        split=split,
        video_fake=video_fake,
        audio_fake=audio_fake,
        parts=row.get("visual_fake_segments"),
        method=str((picture or UNNAMED) if video_fake else (voice or UNNAMED_VOICE)),
        scene=folders.without_suffix(str(row.get("original") or name)),
        identity=voxceleb(person) if person else "",
        group="" if person else "/".join(parts[:2]),
    )


ADAPTER = Adapter(
    name="av_deepfake1m",
    title="AV-Deepfake1M and AV-Deepfake1M++",
    expects=(
        "train_metadata.json, val_metadata.json or both below a root, and what they list below "
        "train/ and val/ or the root itself: vox_celeb_2/, lrs3/, silent_videos/"
    ),
    read=_read,
    licence="CC BY-NC 4.0, and an agreement to sign",
    access="https://github.com/ControlNet/AV-Deepfake1M (gated)",
    expected=(
        Total(20_220, {"split": "val", "label": 0, "audio_fake": 0}, note="of ++"),
        Total(18_938, {"split": "val", "label": 0, "audio_fake": 1}, note="of ++; see audio_only"),
        Total(19_099, {"split": "val", "label": 1, "audio_fake": 0}, note="of ++"),
        Total(19_069, {"split": "val", "label": 1, "audio_fake": 1}, note="of ++"),
    ),
)
