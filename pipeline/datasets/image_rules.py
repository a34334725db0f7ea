"""What a collection of images says about itself: by names of folders, or by columns.

``imagefolder``, ``tar`` and ``parquet`` read images that nobody has written an adapter for. Their
owner says in datasets.yaml what the parts of a path mean (``layout``), which columns say it, and
which words mean real and fake. What is not said is not guessed: such an image is rejected.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from faceshards.fields import CATEGORIES, SPLITS
from pipeline.datasets import folders, splits
from pipeline.datasets.base import REAL_METHOD, Option, Rejected, Source, Video
from pipeline.errors import Reject, UserError

FIELDS = ("split", "label", "method", "identity", "target", "source", "pair", "group", "id")
"""What a layout or a column may say."""
OURS = "ours"
UNKNOWN_METHOD = "unknown"

OPTIONS: Mapping[str, Option] = {
    "layout": Option(
        "what the parts of a path below the root mean, such as {split}/{label}/{identity}_*; of "
        f"{', '.join(f'{{{name}}}' for name in FIELDS)}; * is any text and **/ any folders",
        "",
    ),
    "real": Option("words that mean real, with commas between them", "real, genuine, 0_real"),
    "fake": Option(
        "words that mean fake, with commas between them; * is every other word",
        "fake, manipulated, 1_fake",
    ),
    "label": Option("label of all where nothing else says it", "", ("", "real", "fake")),
    "split": Option("split of all where nothing else says it", "test", (*SPLITS, OURS)),
    "method": Option("method of fakes where nothing else says it", UNKNOWN_METHOD),
    "category": Option("category of all fakes; else that of the method", "", ("", *CATEGORIES[1:])),
}

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_PART = re.compile(r"\{(\w+)\}|\*\*/|\*")


def layout_pattern(layout: str) -> re.Pattern[str]:
    """Pattern of the paths that a layout describes; below its last folder anything may follow.

    Raises:
        ValueError: it names something that is none of :data:`FIELDS`, or one of them twice.
    """
    pattern, end, named = "", 0, set[str]()
    for found in _PART.finditer(layout):
        name = found[1]
        if name and (name not in FIELDS or name in named):
            raise ValueError(f"{{{name}}} is none of {', '.join(FIELDS)}, or there twice")
        named.add(name)
        pattern += re.escape(layout[end : found.start()])
        wild = "(?:.*/)?" if found[0] == "**/" else "[^/]*"
        text = ".+" if name == "id" else "[^/]+?"  # an id may have slashes
        pattern += f"(?P<{name}>{text})" if name else wild
        end = found.end()
    return re.compile(f"{pattern}{re.escape(layout[end:])}(?:/.*)?", re.DOTALL)


@dataclass(frozen=True)
class ImagePlace:
    """Where one image, or folder of images, is."""

    file: str
    path: str
    """Below its root, with the root's index where there are several."""
    media: str
    size_bytes: int = -1
    """-1 = that of the file."""


class ImageRules:
    """The rules of one dataset.

    Args:
        source: the dataset; its options are :data:`OPTIONS`, and maybe more.
        columns: what columns say: of :data:`FIELDS`.

    Raises:
        UserError: the layout is wrong, or nothing says what is real and what fake.
    """

    def __init__(self, source: Source, columns: frozenset[str] = frozenset()) -> None:
        options = source.options
        self._source = source
        self._real, self._fake = (
            frozenset(word.strip().casefold() for word in options[key].split(",") if word.strip())
            for key in ("real", "fake")
        )
        try:
            self._layout = layout_pattern(options["layout"]) if options["layout"] else None
        except ValueError as error:
            raise UserError(f"Dataset {source.name}: option layout: {error}.") from error
        said = columns | frozenset(self._layout.groupindex if self._layout else ())
        if not options["label"] and not said & {"label", "method"}:
            raise UserError(
                f"Dataset {source.name}: nothing says which pictures are real and which fake. "
                "Name {label} or {method} in the option layout, or set label: real or label: fake."
            )
        if both := self._real & self._fake:
            raise UserError(
                f"Dataset {source.name}: {', '.join(sorted(both))} stands in the options real and "
                "fake. Take it out of one of them."
            )

    def row(
        self, place: ImagePlace, relative: str, columns: Mapping[str, str] | None = None
    ) -> Video | Rejected:
        """The row of an image; a reject where it is not said what it is.

        Args:
            place: where it is.
            relative: what the layout describes: its path, without a root's index.
            columns: what columns say of it, by the names of FIELDS; they win over its path.
        """
        try:
            return self._video(place, self._of_path(relative) | dict(columns or {}))
        except Reject as reject:
            return Rejected(place.path, reject.reason, reject.detail)

    def _of_path(self, relative: str) -> dict[str, str]:
        if self._layout is None:
            return {}
        found = self._layout.fullmatch(relative)
        if found is None:
            layout = self._source.options["layout"]
            raise Reject("unknown_label", f"its path is not of the layout {layout}")
        said = found.groupdict()
        if "id" in said and folders.is_image(said["id"]):
            said["id"] = folders.without_suffix(said["id"])
        return said

    def _video(self, place: ImagePlace, said: Mapping[str, str]) -> Video:
        unique, options = self._source.unique, self._source.options
        label = self._label(said)
        method = said.get("method", "").replace("/", "_") or options["method"]
        if label and method.casefold() in self._real:
            raise Reject("inconsistent", f"its label is fake, its method {method}")
        identity = unique(said.get("identity", ""))
        return Video(
            file=place.file,
            path=place.path,
            split=self._split(place, said),
            label=label,
            name=self._source.own_name(method if label else REAL_METHOD, said.get("id", "")),
            method=method if label else REAL_METHOD,
            category=options["category"] if label else "",
            identity=identity,
            target_id=unique(said.get("target", "")),
            source_id=unique(said.get("source", "")),
            pair_id=unique(said.get("pair", "")),
            leak_group=unique(said.get("group", "")) or identity,
            media=place.media,
            size_bytes=place.size_bytes,
        )

    def _label(self, said: Mapping[str, str]) -> int:
        for name in ("label", "method"):
            word = said.get(name, "")
            if word.casefold() in self._real:
                return 0
            if word and (word.casefold() in self._fake or "*" in self._fake):
                return 1
            if word and (name == "label" or not self._source.options["label"]):
                detail = f"{name} {word!r} stands neither in the option real nor in fake"
                raise Reject("unknown_label", detail)
        if not self._source.options["label"]:
            raise Reject("unknown_label", "nothing says whether it is real or fake")
        return int(self._source.options["label"] == "fake")

    def _split(self, place: ImagePlace, said: Mapping[str, str]) -> str:
        word = said.get("split", "")
        if word:
            if word.casefold() not in _SPLITS:
                raise Reject("inconsistent", f"the split {word!r} is none of {', '.join(_SPLITS)}")
            return _SPLITS[word.casefold()]
        if self._source.options["split"] != OURS:
            return self._source.options["split"]
        tie = next((said[key] for key in ("group", "identity", "pair") if said.get(key)), "")
        return splits.draw(self._source.params.split_seed, tie or place.path)
