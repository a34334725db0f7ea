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


def memory_bytes() -> int:
    """Memory of this machine in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
