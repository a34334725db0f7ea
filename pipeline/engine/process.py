"""What a process that works rows owes: one thread, and an end when its owner ends."""

import ctypes
import os
import signal
import sys

ENVIRONMENT = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
"""What a process that works rows starts with, before any library is loaded."""

_PR_SET_PDEATHSIG = 1


def pin_threads() -> None:
    """Pins every native pool of this process to one thread. Call after libraries are loaded.

    Pools of different sizes give different bytes, and slow each other. onnxruntime takes its thread
    count per session, where the session is made.
    """
    from threadpoolctl import threadpool_limits

    os.environ.update(ENVIRONMENT)
    threadpool_limits(1)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def die_with(owner: int) -> None:
    """Has the kernel kill this process when its parent, process ``owner``, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:
        raise SystemExit(1)
