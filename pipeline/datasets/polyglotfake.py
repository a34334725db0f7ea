"""PolyGlotFake: clips in seven languages, dubbed into the others with lips to match.

Rules:

- ``es_1_to_ru_Xtts.mp4`` is clip ``es_1`` dubbed into Russian; the words behind name the speech,
  and in some copies how the lips were made (``wav2lip``, ``retalking``).
- ``es_1.mp4`` is pristine.
- Every fake has a fake voice as well.
- There is no official split. Ours is 70, 15 and 15 % of the clips, each with all that was made of
  it. Who speaks in a clip is not in its name.
"""

import re
from collections.abc import Iterator

from pipeline.datasets import splits
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video
from pipeline.datasets.named_files import NamedFile, named_files

UNNAMED = "polyglotfake_unknown"
"""Method of fakes whose names do not say how their lips were made."""
_METHODS = {"wav2lip": "wav2lip", "retalking": "video_retalking"}
_TOPS = {"real": 0, "fake": 1}
_REAL = re.compile(r"[a-z]{2}_\d+", re.ASCII | re.IGNORECASE)
_FAKE = re.compile(r"([a-z]{2}_\d+)_to_[a-z]{2}(?:_(.*))?", re.ASCII | re.IGNORECASE)
_DEPTH = 4


def _read(source: Source) -> Iterator[Video | Rejected]:
    for found in named_files(source, ADAPTER, _TOPS, _DEPTH):
        yield found if isinstance(found, Rejected) else _video(source, found)


def _video(source: Source, found: NamedFile) -> Video | Rejected:
    label = _TOPS[found.top]
    name = (_FAKE if label else _REAL).fullmatch(found.stem)
    if name is None:
        form = "es_1_to_ru_<speech>" if label else "es_1"
        return Rejected(found.path, "inconsistent", f"the name is not of the form {form}")
    clip = source.unique((name[1] if label else name[0]).lower())
    words = (name[2] or "").lower() if label else ""
    made = next((method for word, method in _METHODS.items() if word in words), UNNAMED)
    return Video(
        file=found.file,
        path=found.path,
        split=splits.draw(source.params.split_seed, clip),
        label=label,
        method=made if label else REAL_METHOD,
        audio_fake=label,
        target_id=clip if label else "",
        pair_id=clip,
        leak_group=clip,
    )


ADAPTER = Adapter(
    name="polyglotfake",
    title="PolyGlotFake",
    expects="real/ with es_1.mp4 and fake/ with es_1_to_ru_Xtts.mp4, at any depth below them",
    read=_read,
    licence="academic research only",
    access="https://github.com/tobuta/PolyGlotFake: a form",
    expected=(Total(766, {"label": 0}), Total(14_472, {"label": 1})),
)
