"""The preview of DFDC: two swap methods, A and B, that are not named.

Rules:

- dataset.json decides: path, label, split (``set``: train or test; there is no val), the people
  ``target_id`` and ``swapped_id``. What it lists and the disk lacks is ``missing``, only in
  folders that are there; what it does not list is rejected as ``inconsistent``.
- The method is the folder: method_A, method_B. A label that contradicts the folder rejects the
  video, and so does what is no usable entry.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.strict import show
from pipeline.datasets import folders, lists
from pipeline.datasets.base import REAL_METHOD, Adapter, Rejected, Source, Total, Video, wrong_root
from pipeline.datasets.lists import CrossCheck
from pipeline.datasets.shared_ids import leak_group
from pipeline.errors import UserError

LIST = "dataset.json"
_METHODS = {"original_videos": REAL_METHOD, "method_A": "method_A", "method_B": "method_B"}
_DEPTH = 4
_LABELS = {"real": 0, "fake": 1}
_SPLITS = ("train", "test")


def _read(source: Source) -> Iterator[Video | Rejected]:
    listed = _listed(source)
    check = CrossCheck(listed, ("inconsistent", f"not in {LIST}"))
    for index, root in enumerate(source.roots):
        tops = [top for top in folders.subfolders(root) if top in _METHODS]
        if not tops:
            raise wrong_root(source, root, ADAPTER)
        for top in tops:
            for below in folders.files(root / top, _DEPTH):
                relative = f"{top}/{below}"
                path = source.path(index, relative)
                yield check.reject(path, relative, relative) or _video(
                    source, f"{root}/{relative}", path, top, listed[relative]
                )
    for relative, _ in check.missing():
        for index, root in enumerate(source.roots):
            if (root / relative.split("/")[0]).is_dir():
                yield Rejected(source.path(index, relative), "missing", f"listed in {LIST}")
                break


def _listed(source: Source) -> Mapping[str, Any]:
    file = lists.find(source, LIST, "what is fake")
    form, remedy = "does not map paths to facts", "Take the official file."
    data = lists.read_json(source, file, form, remedy)
    if not isinstance(data, dict) or (data and not any(map(_is_facts, data.values()))):
        raise UserError(f"Dataset {source.name}: {file} {form}. {remedy}")
    return data


def _is_facts(about: object) -> bool:
    return isinstance(about, dict)


def _video(source: Source, file: str, path: str, top: str, about: object) -> Video | Rejected:
    if not isinstance(about, dict):
        return Rejected(path, "unknown_label", f"{LIST} says nothing of it but {show(about)}")
    label, split = _LABELS.get(str(about.get("label")).lower()), about.get("set")
    if label is None:
        return Rejected(path, "unknown_label", f"label {show(about.get('label'))} in {LIST}")
    if split not in _SPLITS:
        detail = f"set {show(split)} in {LIST} is neither train nor test"
        return Rejected(path, "inconsistent", detail)
    if label != int(_METHODS[top] != REAL_METHOD):
        return Rejected(path, "inconsistent", f"{LIST} says {about['label']}")
    for key in ("target_id", "swapped_id", "source_video"):
        if not isinstance(about.get(key), str | int | None):
            return Rejected(path, "inconsistent", f"{key} {show(about[key])} in {LIST} is no name")
    target, donor = (
        source.unique(str(about.get(key) or "")) for key in ("target_id", "swapped_id")
    )
    original = about.get("source_video") if label else path
    return Video(
        file=file,
        path=path,
        split=split,
        label=label,
        method=_METHODS[top],
        identity=donor if label else target,
        target_id=target if label else "",
        source_id=donor,
        pair_id=source.unique(folders.stem(str(original or ""))),
        leak_group=leak_group(target, donor),
    )


ADAPTER = Adapter(
    name="dfdc_preview",
    expects=(
        f"{LIST} below the root, and original_videos/<person>/, method_A/ or method_B/ beside it"
    ),
    read=_read,
    title="DFDC preview",
    licence="DFDC preview dataset terms: research on detection only, no redistribution",
    access="https://ai.meta.com/datasets/dfdc",
    expected=(
        Total(855, {"split": "train", "label": 0}),
        Total(3_618, {"split": "train", "label": 1}),
        Total(276, {"split": "test", "label": 0}),
        Total(501, {"split": "test", "label": 1}),
    ),
)
