"""Where models run, and that they add up the same sums in the same order there."""

import os

import torch

from pipeline.engine.process import pin_threads

_CUBLAS = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""What cuBLAS wants in the environment for the same sums every time."""


def prepare() -> torch.device:
    """The device to use: the first GPU that torch can use, else the CPU.

    From here on this process uses one CPU thread, algorithms that give the same bytes every time,
    and float32 throughout. Call it before anything runs on a GPU.
    """
    os.environ.setdefault(*_CUBLAS)
    pin_threads()
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
