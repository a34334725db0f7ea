"""IDForge v1: 54 people who speak, and ten ways to fake what they say and who says it.

Rules:

- A task is a folder; its name tells what was done: ``face_…`` a swap whose lips are made to fit,
  ``lip_…`` lips alone, ``rvc_…`` and ``tts_…`` the voice alone. ``pristine`` is real.
- ``<task>/<identity>/<session>/<file>.mp4``; train.csv, val.csv and test.csv list these paths.
- Where only the voice is fake, ``datasets.audio_only`` decides.
- A mismatched voice (``audiomismatch``) is a real one, of another moment.
"""

import re
from collections.abc import Iterator

from faceshards.fields import SPLITS
from pipeline.datasets import lists, sound_alone
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video
from pipeline.datasets.named_files import NamedFile, named_files

PRISTINE = "pristine"
TASKS = {
    PRISTINE: (0, 0),
    "face_audiomismatch_textmismatch": (1, 0),
    "face_rvc_textmismatch": (1, 1),
    "face_tts": (1, 1),
    "face_tts_textgen": (1, 1),
    "lip_audiomismatch_textmismatch": (1, 0),
    "lip_rvc_textmismatch": (1, 1),
    "lip_tts_textgen": (1, 1),
    "rvc_textmismatch": (0, 1),
    "tts_textgen": (0, 1),
    "tts_textmismatch": (0, 1),
}
"""Label and audio_fake of each task."""
_PERSON = re.compile(r"id\d+", re.ASCII)
_DEPTH = 3


def _read(source: Source) -> Iterator[Video | Rejected]:
    listed = _listed(source)
    tasks: set[str] = set()
    on_disk: set[str] = set()
    for found in named_files(source, ADAPTER, TASKS, _DEPTH):
        if isinstance(found, Rejected):
            yield found
            continue
        tasks.add(found.top)
        on_disk.add(found.relative)
        yield _video(source, found, listed.get(found.relative, ""))
    for path, split in listed.items():
        if path not in on_disk and path.split("/")[0] in tasks:
            yield Rejected(source.path(0, path), "missing", f"listed in {split}.csv")


def _listed(source: Source) -> dict[str, str]:
    """Split of each path; of one that stands in several lists the last of train, val, test."""
    listed = {}
    for split in SPLITS:
        file = lists.find(source, f"{split}.csv", f"what is {split}")
        for _, line in lists.read_lines(source, file, "Take the official file."):
            listed[line.partition(",")[0].strip()] = split
    return listed


def _video(source: Source, found: NamedFile, split: str) -> Video | Rejected:
    label, audio_fake = TASKS[found.top]
    person = found.parents[0] if found.parents else ""
    if not split:
        return Rejected(found.path, "inconsistent", "in none of train.csv, val.csv and test.csv")
    if not _PERSON.fullmatch(person):
        return Rejected(found.path, "inconsistent", "not in a person's folder, such as id00")
    identity = source.unique(person)
    video = Video(
        file=found.file,
        path=found.path,
        split=split,
        label=label,
        method=REAL_METHOD if found.top == PRISTINE else found.top,
        audio_fake=audio_fake,
        identity=identity,
        target_id=identity if label else "",
        leak_group=source.unique("/".join(found.parents[:2])),
    )
    return sound_alone.checked(source, video)


ADAPTER = Adapter(
    name="idforge",
    title="IDForge v1",
    expects=(
        "train.csv, val.csv, test.csv and one or more of the tasks' folders (pristine, face_tts, "
        "lip_tts_textgen …) below the root, with <identity>/<session>/<file>.mp4 in them"
    ),
    read=_read,
    licence="not stated; research",
    access="https://github.com/xyyandxyy/IDForge: pristine by link, fakes by a form",
    expected=(
        Total(80_000, {"method": REAL_METHOD}, note="about, from the paper"),
        Total(170_000, path="^(?!pristine/)", note="about; with those of fake sound alone"),
    ),
)
