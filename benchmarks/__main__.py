"""``python -m benchmarks NAME``: one module of this package, told what stands behind its name."""

import importlib
import os
import pkgutil
import sys

import benchmarks
from pipeline.engine.process import ENVIRONMENT


def main() -> int:
    """Runs a benchmark; modules with a leading underscore are not benchmarks."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    names = sorted(module.name for module in modules if not module.name.startswith("_"))
    if len(sys.argv) < 2 or sys.argv[1] not in names:
        print(f"usage: python -m benchmarks NAME [--help]\nNAME is one of: {', '.join(names)}")
        return 2
    # Contenders are compared as in a process that works rows: the C library reads its part of this
    # only when a process starts.
    if not ENVIRONMENT.items() <= os.environ.items():
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, command, os.environ | ENVIRONMENT)  # noqa: S606 - ourselves
    module = importlib.import_module(f"benchmarks.{sys.argv[1]}")
    module.main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
