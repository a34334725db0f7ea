"""UADFV: 49 real videos and a swap of each, made with FakeApp.

Rules:

- ``fake/0000_fake.mp4`` was made of ``real/0000.mp4``.
- Nobody has split it: all is test.
"""

from collections.abc import Iterator

from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video
from pipeline.datasets.named_files import named_files

METHOD = "FakeApp"
_FAKE = "_fake"
_DEPTH = 2
"""Copies may have a level ``videos`` between."""


def _read(source: Source) -> Iterator[Video | Rejected]:
    for found in named_files(source, ADAPTER, ("real", "fake"), _DEPTH):
        if isinstance(found, Rejected):
            yield found
            continue
        fake = found.top == "fake"
        if fake != found.stem.endswith(_FAKE):
            yield Rejected(found.path, "inconsistent", f"its folder is {found.top}, its name not")
            continue
        clip = source.unique(found.stem.removesuffix(_FAKE))
        yield Video(
            file=found.file,
            path=found.path,
            split="test",
            label=int(fake),
            method=METHOD if fake else REAL_METHOD,
            target_id=clip if fake else "",
            pair_id=clip,
            leak_group=clip,
            aligned=fake,
        )


ADAPTER = Adapter(
    name="uadfv",
    title="UADFV",
    expects="real/0000.mp4 and fake/0000_fake.mp4 below the root; videos/ may lie between",
    read=_read,
    licence="research only",
    access="a form of its authors, linked from https://github.com/yuezunli/WIFS2018_In_Ictu_Oculi",
    expected=(Total(49, {"label": 0}), Total(49, {"label": 1})),
)
