"""Where a video of the ``videos`` table lies on this machine."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from pipeline.config.dataset_entries import DatasetEntry
from pipeline.errors import UserError


def files(entries: Mapping[str, DatasetEntry], videos: pa.Table) -> list[str]:
    """Absolute path of every row of ``videos``, in order.

    With several roots a path starts with the root's index.

    Raises:
        UserError: a dataset has no entry any more, or one of its roots is gone. Checked before work
            starts, since otherwise every video would be rejected as missing.
    """
    names = sorted(set(videos.column("dataset").to_pylist()))
    for name in names:
        if name not in entries:
            raise UserError(
                f"dataset {name!r} is in manifests/videos.parquet but not in "
                "manifests/datasets.yaml. Run `dvc repro` from the first stage."
            )
        if not entries[name].roots:
            raise UserError(
                f"dataset {name!r} has videos in manifests/videos.parquet but no root in "
                "manifests/datasets.yaml any more. Give it one, or run `dvc repro`."
            )
        for root in entries[name].roots:
            if not root.is_dir():
                raise UserError(
                    f"dataset {name!r}: its root {root} is not there. Mount it, or correct the "
                    "root in manifests/datasets.yaml."
                )
    columns = zip(
        videos.column("dataset").to_pylist(), videos.column("path").to_pylist(), strict=True
    )
    return [str(_locate(entries[dataset], path)) for dataset, path in columns]


def _locate(entry: DatasetEntry, path: str) -> Path:
    root = entry.roots[0]
    if len(entry.roots) > 1:
        index, path = path.split("/", 1)
        root = entry.roots[int(index)]
    return (root / path).absolute()
