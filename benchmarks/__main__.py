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
    # Before any library is loaded: contenders are compared on one thread each.
    os.environ.update(ENVIRONMENT)
    module = importlib.import_module(f"benchmarks.{sys.argv[1]}")
    module.main(sys.argv[2:])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
