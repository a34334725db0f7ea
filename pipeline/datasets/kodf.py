"""KoDF: Korean speakers, and five ways to fake them.

Rules:

- ``<target>_<source>_<code>_<number>.mp4`` is a fake; the code tells the method, whatever the
  folder is called. Face swaps show the source, the other methods the target.
- ``<person>_<number>.mp4`` in ``real`` (or ``original``, ``actors``) is pristine.
- ``part: adversarial`` reads ``adversarial/real`` and ``adversarial/fake`` instead: videos that
  were attacked, so that detectors fail. All is test; names tell as much as they do elsewhere.
- There is no split in the files. Ours is 70, 15 and 15 % of the targets.
"""

from collections.abc import Iterator

from pipeline.datasets import donors, splits
from pipeline.datasets.base import REAL_METHOD, Adapter, Option, Rejected, Source, Total, Video
from pipeline.datasets.named_files import NamedFile, named_files
from pipeline.datasets.shared_ids import leak_group

CODES = {"1": "dfl", "2": "dffs", "3": "fsgan", "4": "fo", "5": "audio-driven"}
SWAPS = ("dfl", "dffs", "fsgan")
_REALS = ("real", "original", "actors")
_DEPTH = 5
"""Fakes lie in folders by date and target, reals by person."""
_FAKE_PARTS = 4
ADVERSARIAL = "adversarial"
UNKNOWN = "kodf_unknown"
"""Method of an attacked fake whose name does not tell."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    if source.options["part"] == ADVERSARIAL:
        yield from _attacked(source)
        return
    for found in named_files(source, ADAPTER, (*_REALS, *CODES.values()), _DEPTH):
        yield found if isinstance(found, Rejected) else _video(source, found)


def _video(source: Source, found: NamedFile) -> Video | Rejected:
    parts = found.stem.split("_")
    real = found.top in _REALS
    if real and len(parts) == 2:
        method, target, donor = REAL_METHOD, source.unique(parts[0]), ""
    elif not real and len(parts) == _FAKE_PARTS and parts[2] in CODES:
        method, target, donor = CODES[parts[2]], *map(source.unique, parts[:2])
    else:
        form = "<person>_<number>" if real else "<target>_<source>_<code 1 to 5>_<number>"
        return Rejected(found.path, "inconsistent", f"the name is not {form}")
    seed = source.params.split_seed
    video = Video(
        file=found.file,
        path=found.path,
        split=splits.draw(seed, target),
        label=int(not real),
        method=method,
        identity=donor if method in SWAPS else target,
        target_id="" if real else target,
        source_id=donor,
        leak_group=leak_group(target),
    )
    return donors.checked(source, video, splits.draw(seed, donor) if method in SWAPS else "")


def _attacked(source: Source) -> Iterator[Video | Rejected]:
    """The part that was attacked; who is in it is known where names are those of other videos."""
    for found in named_files(source, ADAPTER, (ADVERSARIAL,), _DEPTH):
        if isinstance(found, Rejected):
            yield found
            continue
        label = {"real": 0, "fake": 1}.get(found.parents[0].lower() if found.parents else "")
        if label is None:
            detail = f"it is neither in {ADVERSARIAL}/real nor in {ADVERSARIAL}/fake"
            yield Rejected(found.path, "unknown_label", detail)
            continue
        parts = found.stem.split("_")
        told = len(parts) == _FAKE_PARTS and parts[2] in CODES if label else len(parts) == 2
        target = source.unique(parts[0]) if told else ""
        donor = source.unique(parts[1]) if told and label else ""
        method = CODES[parts[2]] if told and label else UNKNOWN if label else REAL_METHOD
        yield Video(
            file=found.file,
            path=found.path,
            split="test",
            label=label,
            method=method,
            identity=donor if method in SWAPS else target,
            target_id=target if label else "",
            source_id=donor,
            leak_group=leak_group(target),
            subtype=ADVERSARIAL if label else "",
        )


ADAPTER = Adapter(
    name="kodf",
    title="KoDF",
    expects=(
        "real/ with <person>_<number>.mp4 and dfl/, dffs/, fsgan/, fo/, audio-driven/ with "
        "<target>_<source>_<code>_<number>.mp4, at any depth below them; adversarial/ with real/ "
        "and fake/ for part: adversarial"
    ),
    read=_read,
    options=donors.OPTIONS
    | {
        "part": Option(
            f"main; {ADVERSARIAL} = videos that were attacked, below {ADVERSARIAL}/real and "
            f"{ADVERSARIAL}/fake, all test",
            "main",
            ("main", ADVERSARIAL),
        )
    },
    licence="research only",
    access="https://github.com/deepbrainai-research/kodf: a form; in Korea https://aihub.or.kr",
    expected=(
        Total(62_166, {"label": 0}, {"part": "main"}, note="from the paper"),
        Total(175_776, {"label": 1}, {"part": "main"}, note="from the paper"),
    ),
)
