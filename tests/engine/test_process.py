"""How processes that work rows are started."""

import os
import subprocess
import sys

import pytest

from pipeline.engine.process import ENVIRONMENT

PICTURES = """
import resource
for _ in range(20):
    pictures = [b"\\1" * (6 << 20) for _ in range(4)]
    del pictures
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the variables are glibc's")
def test_memory_of_one_picture_serves_the_next():
    bare = {k: v for k, v in os.environ.items() if k not in ENVIRONMENT}
    faults = [
        int(subprocess.check_output([sys.executable, "-c", PICTURES], env=environment))
        for environment in (bare, bare | ENVIRONMENT)
    ]
    assert faults[1] < faults[0] / 2, "pages the system had to clear"
