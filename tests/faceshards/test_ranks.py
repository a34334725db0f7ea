"""Two processes of a training read to the end together, at any number of samples."""

import multiprocessing
import queue
from pathlib import Path

import numpy as np
import pytest

from faceshards.filters import ByPlace
from faceshards.loader import Loader
from faceshards.order import InOrder, Shuffled
from faceshards.samples import Samples

torch = pytest.importorskip("torch")

SIZES = (1, 7, 8, 9)
BATCH = 4
PATIENCE_S = 300


def _rank(rank: int, folders: list[Path], meeting: Path, results) -> None:
    """Trains and evaluates with every number of samples; a sum over ranks follows every batch."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(3, 1))
    counts = []
    for size in SIZES:
        some = Samples(folders, ByPlace(np.arange(size)))
        steps = 0
        if size >= BATCH:
            for batch in Loader(some, Shuffled(size, BATCH), rank=rank, n_ranks=2):
                means = torch.from_numpy(batch.images).float().mean((1, 2))  # (B, 3)
                model(means).mean().backward()  # waits for the other rank
                steps += 1
        order = InOrder(size, BATCH)
        seen = [p for b in Loader(some, order, rank=rank, n_ranks=2) for p in b.places.tolist()]
        counts.append((steps, seen))
    results.put((rank, counts))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_ddp_on_two_processes_ends_at_any_number_of_samples(shards, tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    folders = [shards / "train"]
    ranks = [
        context.Process(target=_rank, args=(rank, folders, tmp_path / "meeting", results))
        for rank in range(2)
    ]
    for process in ranks:
        process.start()
    try:
        found = dict(results.get(timeout=PATIENCE_S) for _ in ranks)
    except queue.Empty:
        pytest.fail("the ranks wait for each other")
    finally:
        for process in ranks:
            process.join(10)
            process.kill()
    for number, size in enumerate(SIZES):
        (steps, seen), (other_steps, other_seen) = (found[rank][number] for rank in range(2))
        assert steps == other_steps == (size // BATCH if size >= BATCH else 0)
        assert sorted(seen + other_seen) == list(range(size))
