"""Where models run, and that they add up the same sums in the same order there."""

import os

import torch

from pipeline.engine.process import pin_threads
from pipeline.errors import UserError

_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS wants in the environment for the same sums every time."""


def prepare() -> torch.device:
    """The device to use: the first GPU that torch can use, else the CPU.

    Where several processes train together (LOCAL_RANK in the environment), each has its own GPU.

    From here on this process uses one CPU thread, algorithms that give the same bytes every time,
    and float32 throughout. Call it before anything runs on a GPU.
    """
    os.environ.setdefault(*_CUBLAS)
    pin_threads()
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    if not torch.cuda.is_available():
        return torch.device("cpu")
    own, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if own >= there:
        raise UserError(
            f"A training by {own + 1} or more GPUs is asked for, but torch finds {there}. Lower "
            "engine.gpus, or look at CUDA_VISIBLE_DEVICES."
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", torch.cuda.current_device())
