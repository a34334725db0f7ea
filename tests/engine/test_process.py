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


PANDAS = """
import sys
from pipeline.engine.process import keep_pandas_out
keep_pandas_out()
import pyarrow as pa
assert pa.table({"a": [1, None], "b": ["x", "y"]}).to_pylist()[0] == {"a": 1, "b": "x"}
assert pa.array(np.arange(3)).to_numpy().sum() == 3
assert "pandas" not in sys.modules
import pandas
assert pandas.DataFrame({"a": [1]}).shape == (1, 1)
"""


def test_pyarrow_does_not_import_pandas_and_others_may():
    subprocess.run([sys.executable, "-c", f"import numpy as np{PANDAS}"], check=True)
