"""litdata and mosaicml-streaming, each in a process of its own: they do not fit one environment.

Run as ``python _shard_peers.py PEER FOLDER ROUNDS``; FOLDER holds ``jpegs.bin`` and ``sizes.json``.
Prints one JSON object: seconds of writing once, of reading decoded batches without and with two
workers, and of the decoder alone in the same process, medians in turns.
"""

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

BATCH = 64


def jpegs(folder: Path) -> list[bytes]:
    """The images, as :mod:`benchmarks.shards` has put them there."""
    data, at, found = (folder / "jpegs.bin").read_bytes(), 0, []
    for size in json.loads((folder / "sizes.json").read_text()):
        found.append(data[at : at + size])
        at += size
    return found


def as_litdata(jpeg: bytes) -> dict[str, Any]:
    """One sample; a function of a module, since litdata pickles it."""
    return {"jpg": jpeg, "label": 0}


def decoded(rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    """A batch, collated where the samples are read: uint8 (B, 224, 224, 3) and labels (B,)."""
    import numpy as np
    import simplejpeg
    import torch

    images = np.empty((len(rows), 224, 224, 3), np.uint8)
    for row, image in zip(rows, images, strict=True):
        simplejpeg.decode_jpeg(row["jpg"], "RGB", buffer=image)
    return torch.from_numpy(images), torch.tensor([row["label"] for row in rows])


def litdata(folder: Path, images: list[bytes]) -> tuple[Callable[[], None], Callable[[int], None]]:
    """How it writes, and how it reads with some workers."""
    import litdata as peer

    out = str(folder / "litdata")

    def write() -> None:
        peer.optimize(as_litdata, images, out, num_workers=1, chunk_bytes="64MB", mode="overwrite")

    def read(workers: int) -> None:
        rows = peer.StreamingDataset(out, shuffle=False)
        how = {"batch_size": BATCH, "num_workers": workers, "collate_fn": decoded}
        for _ in peer.StreamingDataLoader(rows, **how):
            pass

    return write, read


def mosaicml(folder: Path, images: list[bytes]) -> tuple[Callable[[], None], Callable[[int], None]]:
    """How it writes, and how it reads with some workers."""
    _without_torchvision()
    import shutil

    import torch
    from streaming import MDSWriter, StreamingDataset

    out = folder / "mosaicml"

    def write() -> None:
        shutil.rmtree(out, ignore_errors=True)
        with MDSWriter(out=str(out), columns={"jpg": "bytes", "label": "int"}) as writer:
            for jpeg in images:
                writer.write(as_litdata(jpeg))

    def read(workers: int) -> None:
        rows = StreamingDataset(local=str(out), batch_size=BATCH, shuffle=False)
        how = {"batch_size": BATCH, "num_workers": workers, "collate_fn": decoded}
        for _ in torch.utils.data.DataLoader(rows, **how):
            pass

    return write, read


def _without_torchvision() -> None:
    """It imports torchvision for datasets that are not used here, and many machines lack it."""
    try:
        importlib.import_module("torchvision")
    except (ImportError, OSError, RuntimeError):
        names = ("torchvision", "torchvision.datasets", "torchvision.transforms")
        modules = {name: ModuleType(name) for name in (*names, f"{names[2]}.functional")}
        vars(modules["torchvision.datasets"]).update(VisionDataset=object)
        vars(modules["torchvision.transforms.functional"]).update(to_tensor=None)
        for name, module in modules.items():
            module.__spec__ = ModuleSpec(name, None)
        sys.modules.update(modules)


PEERS = {"litdata": litdata, "mosaicml": mosaicml}


def main() -> None:
    """See the module."""
    import numpy as np
    import simplejpeg

    name, folder, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    images = jpegs(folder)
    try:
        write, read = PEERS[name](folder, images)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return
    out = np.empty((224, 224, 3), np.uint8)

    def limit() -> None:
        for jpeg in images:
            simplejpeg.decode_jpeg(jpeg, "RGB", buffer=out)

    start = time.perf_counter()
    write()  # once: litdata starts processes for it
    found = {"write": time.perf_counter() - start}
    contenders = {"limit": limit, "read": lambda: read(0), "read_two": lambda: read(2)}
    times: dict[str, list[float]] = {key: [] for key in contenders}
    for number in range(rounds + 1):
        for key, contender in contenders.items():
            start = time.perf_counter()
            contender()
            if number:
                times[key].append(time.perf_counter() - start)
    found |= {key: statistics.median(of_key) for key, of_key in times.items()}
    print("\n" + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
