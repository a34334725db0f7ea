"""Reading and writing shards beside webdataset, litdata and mosaicml-streaming, in one run.

Shares are of what the JPEG decoder alone does with the bytes in memory on as many cores, and of a
plain copy of the file. Start-up and memory are of a made index of a million samples.
"""

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg

from benchmarks._figures import at_least, at_most, peak_mb, show
from benchmarks._shard_peers import PEERS
from faceshards import fields, images, tar
from faceshards.loader import Loader
from faceshards.order import Shuffled
from faceshards.samples import Samples
from faceshards.verify import verify_folder
from pipeline import tables
from pipeline.shards.folder_index import LabelFacts, tar_facts, write_folder_index

SIDE_PX = 224
BATCH = 64
PER_TAR = 1000
GRAPH_NODES = 10
NO_GRAPH = LabelFacts("", [], lambda *_: ())


def main(arguments: list[str]) -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks shards", description=__doc__)
    parser.add_argument("--samples", type=int, default=6000, help="pictures that are read")
    parser.add_argument("--index", type=int, default=1_000_000, help="samples of the made index")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many counts")
    for peer in PEERS:
        about = f"folder that `pip install --target` filled with {peer}; else this environment"
        parser.add_argument(f"--{peer}", metavar="FOLDER", default="", help=about)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        jpegs = list(_jpegs(given.samples))
        figures = _writing(root, jpegs, given.rounds)
        # Two tars at least: webdataset has two workers, and each takes whole tars.
        _folder(root / "train", jpegs, min(PER_TAR, -(-len(jpegs) // 2)))
        reading, limit_s, ours_s = _reading(root / "train", jpegs, given.rounds)
        figures += reading + _verifying(root / "train", given.rounds)
        for peer in PEERS:
            figures += _peer(root, jpegs, peer, vars(given)[peer], given.rounds, limit_s / ours_s)
        _big_index(root / "big", given.index)
        figures += _start(root / "big", given.index)
    show(figures)


def _jpegs(n: int) -> Iterator[bytes]:
    """Pictures of about 18 kB each, of soft shapes and camera-like noise."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        small = rng.integers(0, 256, (9, 9, 3), np.uint8)
        soft = cv2.resize(small, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
        noisy = soft + rng.normal(0, 3, soft.shape)
        yield images.encode_jpeg(noisy.clip(0, 255).astype(np.uint8), 95, "4:2:0")


def _about(number: int) -> dict[str, object]:
    return fields.absent() | {"label": number % 2, "vector": [number % 2] * GRAPH_NODES}


def _pack(file: io.BufferedIOBase, jpegs: list[bytes]) -> Iterator[dict[str, int]]:
    for number, jpeg in enumerate(jpegs):
        start = file.tell()
        jpg = tar.append(file, f"d/m/v/{number:05d}-0.jpg", jpeg)
        text = json.dumps(_about(number), sort_keys=True).encode()
        about = tar.append(file, f"d/m/v/{number:05d}-0.json", text)
        yield {
            "offset": start,
            "size": file.tell() - start,
            "jpg_offset": jpg[0],
            "jpg_size": jpg[1],
            "json_offset": about[0],
            "json_size": about[1],
        }
    tar.finish(file)


def _folder(folder: Path, jpegs: list[bytes], per_tar: int) -> None:
    """A shard folder of these pictures."""
    folder.mkdir()
    facts, indexes = {}, []
    for number, first in enumerate(range(0, len(jpegs), per_tar)):
        path = folder / f"d-{number:05d}.tar"
        part = jpegs[first : first + per_tar]
        with path.open("wb") as file:
            places = list(_pack(file, part))
        rows = [_row(path.name, number * per_tar + i) | place for i, place in enumerate(places)]
        indexes.append(tables.from_rows("index_expanded", rows))
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        labels = [row["label"] for row in rows]
        facts[path.name] = tar_facts(labels, path.stat().st_size, sha256)
    write_folder_index(folder, "train", indexes, facts, NO_GRAPH)


def _row(tar_name: str, number: int) -> dict[str, object]:
    row = _about(number) | {"key": f"d/m/v/{number:07d}-0", "sample_id": f"d/m/v/{number:07d}-0"}
    row |= {"split": "train", "dataset": "d", "method": "m", "category": "real", "tar": tar_name}
    numbers = ("sample", "rank", "track", "time_s", "face_px", "padded", "sharpness", "brightness")
    return row | dict.fromkeys(numbers, 0)


def _median_s(rounds: int, *contenders: Callable[[], object]) -> list[float]:
    """Median time of each contender in alternated rounds, after one that does not count."""
    times: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds + 1):
        for contender, found in zip(contenders, times, strict=True):
            start = time.perf_counter()
            contender()
            if number:
                found.append(time.perf_counter() - start)
    return [statistics.median(found) for found in times]


def _writing(root: Path, jpegs: list[bytes], rounds: int) -> list:
    import webdataset

    part = jpegs[: 2 * PER_TAR]

    def ours(check: bool) -> None:
        with (root / "ours.tar").open("wb") as file:
            for _ in _pack(file, part):
                pass
        if check:
            with (root / "ours.tar").open("rb") as file:
                hashlib.file_digest(file, "sha256")

    def theirs() -> None:
        with webdataset.TarWriter(str(root / "theirs.tar"), mtime=0) as writer:
            for number, jpeg in enumerate(part):
                text = json.dumps(_about(number), sort_keys=True).encode()
                writer.write({"__key__": f"d/m/v/{number:05d}-0", "jpg": jpeg, "json": text})

    plain, checked, webds, copy = _median_s(
        rounds,
        lambda: ours(False),
        lambda: ours(True),
        theirs,
        lambda: shutil.copyfile(root / "ours.tar", root / "copy.tar"),
    )
    return [
        at_least("write, times webdataset.TarWriter", webds / plain, "x", None),
        at_least("write with sha256, times webdataset.TarWriter", webds / checked, "x", None),
        at_least("write, share of a file copy", copy / plain, "", None),
        at_least("write with sha256, share of a file copy", copy / checked, "", None),
        at_least("write, samples per second", len(part) / plain, "1/s", None),
    ]


def _reading(folder: Path, jpegs: list[bytes], rounds: int) -> tuple[list, np.ndarray, np.ndarray]:
    """Figures, and seconds (2,) of decoding alone and of ours, on one and two threads."""
    import torch
    import webdataset

    paths = sorted(str(path) for path in folder.glob("*.tar"))
    samples = Samples([folder])
    out = np.empty((SIDE_PX, SIDE_PX, 3), np.uint8)

    def limit(threads: int) -> None:
        def share(first: int) -> None:
            mine = np.empty_like(out)
            for jpeg in jpegs[first::threads]:
                simplejpeg.decode_jpeg(jpeg, "RGB", buffer=mine)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(share, range(threads)))

    def ours(threads: int) -> None:
        for _ in Loader(samples, Shuffled(len(samples), BATCH), threads=threads):
            pass

    def theirs(decode: object, workers: int) -> None:
        dataset = webdataset.WebDataset(paths, shardshuffle=False).decode(decode)
        dataset = dataset.to_tuple("jpg", "json").batched(BATCH)
        for _ in torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers):
            pass

    def turbo(key: str, data: bytes) -> object:
        return simplejpeg.decode_jpeg(data, "RGB") if key.endswith("jpg") else None

    times = _median_s(
        rounds,
        lambda: limit(1),
        lambda: limit(2),
        lambda: ours(1),
        lambda: ours(2),
        lambda: theirs("rgb8", 0),
        lambda: theirs("rgb8", 2),
        lambda: theirs(turbo, 2),
    )
    one_limit, two_limit, one, two, stock, stock_two, turbo_two = times
    figures = [
        at_least("read, 1 thread, share of decoding alone", one_limit / one, "", 0.92),
        at_least("read, 2 threads, share of decoding alone", two_limit / two, "", 0.84),
        at_least("read, 1 thread, times webdataset", stock / one, "x", 2.5),
        at_least("read, 2 threads, times webdataset, 2 workers", stock_two / two, "x", 3),
        at_least("read, 2 threads, times webdataset + turbo", turbo_two / two, "x", 1.7),
    ]
    return figures, np.array([one_limit, two_limit]), np.array([one, two])


def _verifying(folder: Path, rounds: int) -> list:
    """The quick check beside hashing the same files and nothing else."""

    def hashed() -> None:
        for path in folder.iterdir():
            with path.open("rb") as file:
                hashlib.file_digest(file, "sha256")

    hashing, quick = _median_s(rounds, hashed, lambda: verify_folder(folder, quick=True))
    return [at_least("verify --quick, share of hashing alone", hashing / quick, "", 0.9)]


def _peer(
    root: Path, jpegs: list[bytes], peer: str, packages: str, rounds: int, ours: np.ndarray
) -> list:
    """Ours against a peer in a process of its own, each as a share of decoding alone beside it.

    ``ours`` (2,) are our shares on one and two threads.
    """
    folder = root / peer
    folder.mkdir()
    (folder / "jpegs.bin").write_bytes(b"".join(jpegs))
    (folder / "sizes.json").write_text(json.dumps([len(jpeg) for jpeg in jpegs]))
    command = [sys.executable, str(Path(__file__).with_name("_shard_peers.py"))]
    variables = os.environ | {"PYTHONPATH": packages}
    done = subprocess.run(
        [*command, peer, str(folder), str(rounds)], env=variables, capture_output=True, text=True
    )
    last = (done.stdout.strip().splitlines() or ["{}"])[-1]
    times = json.loads(last) if done.returncode == 0 else {"missing": done.stderr[-300:]}
    if "missing" in times:
        sys.stderr.write(f"{peer} is left out, it cannot be measured: {times['missing']}\n")
        return []
    one, two = (ours * np.array([times["read"], times["read_two"]]) / times["limit"]).tolist()
    return [
        at_least(f"read, 1 thread, times {peer}, no workers", one, "x", 1.05),
        # Two cores decode twice as much as one at best.
        at_least(f"read, 2 threads, times {peer}, 2 workers", 2 * two, "x", 1.5),
        at_least(f"write of {peer}, samples per second", len(jpegs) / times["write"], "1/s", None),
    ]


def _big_index(folder: Path, n: int) -> None:
    """The index and shards.json of ``n`` samples; of their tars there is the first sample's."""
    folder.mkdir()
    facts, indexes = {}, []
    jpeg = next(_jpegs(1))
    (folder / "d-00000.tar").write_bytes(jpeg)
    for number, first in enumerate(range(0, n, 10 * PER_TAR)):
        name = f"d-{number:05d}.tar"
        size = min(10 * PER_TAR, n - first)
        row = _row(name, 0) | {
            f"{member}{what}": 1 for member in ("", "jpg_", "json_") for what in ("offset", "size")
        }
        row |= {"jpg_offset": 0, "jpg_size": len(jpeg)}
        columns = {column: [value] * size for column, value in row.items()}
        ids = [f"d/m/v/{first + i:07d}-0" for i in range(size)]
        columns |= {"key": ids, "sample_id": ids, "offset": list(range(size))}
        indexes.append(tables.from_columns("index_expanded", columns))
        facts[name] = tar_facts(columns["label"], 1, "0" * 64)
    write_folder_index(folder, "train", indexes, facts, NO_GRAPH)


def _start(folder: Path, n: int) -> list:
    """In this process: what it has held before is subtracted."""
    start = time.perf_counter()
    before = pa.total_allocated_bytes()
    samples = Samples([folder], size_px=SIDE_PX)
    spent = time.perf_counter() - start
    held = sum(
        value.nbytes for value in vars(samples).values() if isinstance(value, np.ndarray | pa.Table)
    )
    held += max(0, pa.total_allocated_bytes() - before)
    return [
        at_most(f"start on {n} samples", spent, "s", 2),
        at_most("memory per sample", held / n, "bytes", 60),
        at_most("peak of this process", peak_mb(), "MB", 4000),
    ]


if __name__ == "__main__":
    main([])
