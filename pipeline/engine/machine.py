"""What this machine is: the platform that decides bytes, and its memory."""

import os
import platform
from importlib import metadata
from pathlib import Path

_LIBRARIES = (
    "av",
    "dlib-bin",
    "face-alignment",
    "insightface",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "pyarrow",
    "torch",
)
_CPU_FEATURES = ("avx2", "fma", "avx512f", "avx512vl", "asimd", "sve")

_MEMORY_SHARE = 0.8
"""The rest is for the system and for the processes that own the workers."""


def platform_string() -> str:
    """What output bytes depend on besides the inputs: machine, CPU features, libraries."""
    versions = [f"{name} {metadata.version(name)}" for name in _LIBRARIES]
    return ", ".join([platform.machine(), *_cpu_features(), *versions])


def _cpu_features() -> list[str]:
    path = Path("/proc/cpuinfo")
    words = set(path.read_text().split()) if path.is_file() else set()
    return [feature for feature in _CPU_FEATURES if feature in words]


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, in bytes; 0 where the system does not tell."""
    path = Path(f"/proc/{pid}/statm")
    try:
        return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def memory_share_bytes(workers: int) -> float:
    """What each of so many workers may take of this machine's memory."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return whole * _MEMORY_SHARE / max(1, workers)
