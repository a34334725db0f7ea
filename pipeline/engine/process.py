"""Set-up of a process that works rows: one thread, memory kept, killed when its owner dies."""

import ctypes
import os
import signal
import sys
from importlib.abc import MetaPathFinder

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# By default glibc hands a freed picture back to the system, which then has to clear the pages of
# the next one: up to a tenth of the time that reading a video takes.
_KEPT_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the most that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}
ENVIRONMENT = dict.fromkeys(_POOLS, "1") | _KEPT_MEMORY
"""What a process that works rows starts with, before any library is loaded: one thread in every
native pool, and up to 256 MB of freed memory kept for the next row."""

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


class _NoPandas(MetaPathFinder):
    """Lets nobody find pandas."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def keep_pandas_out() -> None:
    """Tells pyarrow that there is no pandas, so that it does not import it: about half a second.

    pyarrow looks for pandas when it first makes an array of plain numbers, asks only once, and
    remembers the answer. Nothing here hands it anything of pandas. Other libraries still find it.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    nowhere = _NoPandas()
    sys.meta_path.insert(0, nowhere)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(nowhere)


def die_with(owner: int) -> None:
    """Has the kernel kill this process when its parent, process ``owner``, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != owner:
        raise SystemExit(1)
