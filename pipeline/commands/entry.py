"""How every command and every stage begins and ends: a mistake is one sentence, not a traceback."""

import io
import os
import signal
import sys
from collections.abc import Callable

from pipeline.engine.process import keep_pandas_out
from pipeline.errors import EXIT_USER_ERROR, UserError

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

SYSTEM_LIBRARIES = {
    "libGL": "libgl1",
    "libgthread": "libglib2.0-0t64 (libglib2.0-0 on older releases)",
}
"""Shared libraries that OpenCV's wheel expects of the system, and their Debian packages."""

EXTRAS = {
    "pipeline": (
        *("av", "dask", "dlib", "dvc", "face_alignment", "face_recognition_models", "insightface"),
        *(
            "jinja2",
            "markupsafe",
            "onnx",
            "onnxruntime",
            "ruamel",
            "safetensors",
            "scipy",
            "skimage",
        ),
        *("sklearn", "threadpoolctl", "torch", "tqdm", "transformers"),
    ),
    "cluster": ("distributed",),
    "tensorboard": ("tensorboard",),
    "streaming": ("aiohttp", "fsspec", "webdataset"),
}
"""Modules that an extra of pyproject.toml installs. Reading and checking shards needs none."""


def run_main(function: Callable[[], int | None]) -> int:
    """Run a command; return its exit code (None counts as 0).

    A UserError, a shared library that the system lacks, or an extra that is not installed becomes
    one line on stderr and exit code 2. Ctrl-C becomes one line and 130; who reads the output may
    stop at any time. Anything else is a bug and keeps its traceback.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        keep_pandas_out()
        _check_version()
        code = function() or 0
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has seen enough, such as `head`; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except UserError as error:
        return _say(str(error), EXIT_USER_ERROR)
    except ImportError as error:
        sentence = explain_missing_library(error) or explain_missing_extra(error)
        if sentence is None:
            raise
        return _say(sentence, EXIT_USER_ERROR)
    except KeyboardInterrupt:
        return _say("interrupted.", EXIT_INTERRUPTED)


def _check_version() -> None:
    """Of a stage that DVC runs: what DVC writes down as its version must be its version."""
    stage = os.environ.get("DVC_STAGE", "").partition("@")[0]  # train@run is of the stage train
    if stage and stage != "scan":  # which writes the file that is looked at
        from pipeline.versions import check_published

        check_published(stage)


def explain_missing_library(error: ImportError) -> str | None:
    """Name the package to install in one sentence; None where something else failed to import."""
    for library, package in SYSTEM_LIBRARIES.items():
        if library in str(error):
            return (
                f"OpenCV needs the system library {library}, which is not installed: "
                f"on Debian and Ubuntu, install the package {package}."
            )
    return None


def explain_missing_extra(error: ImportError) -> str | None:
    """Name the extra to install in one sentence; None where something else failed to import."""
    module = (error.name or "").partition(".")[0]
    for extra, modules in EXTRAS.items():
        if isinstance(error, ModuleNotFoundError) and module in modules:
            return (
                f"This needs the package {module}, which is not installed: "
                f"run `pip install 'faceshards[{extra}]'`."
            )
    return None


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"faceshards: {message}\n")
    return code
