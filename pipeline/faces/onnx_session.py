"""ONNX files opened alike: by onnxruntime alone, on one thread, on the provider asked for."""

from pathlib import Path

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as onnxruntime_errors

from pipeline.errors import UserError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_UNREADABLE = (
    onnxruntime_errors.Fail,
    onnxruntime_errors.InvalidArgument,
    onnxruntime_errors.InvalidGraph,
    onnxruntime_errors.InvalidProtobuf,
    onnxruntime_errors.NotImplemented,
    onnxruntime_errors.RuntimeException,
)
_ERRORS_ONLY = 3


def open_session(
    path: Path, provider: str, model: bytes | None = None
) -> onnxruntime.InferenceSession:
    """Loads an .onnx file.

    Args:
        path: the file, found and checked.
        provider: ``cpu`` or ``cuda``, as ``faces.provider`` says.
        model: what is loaded in place of the file's bytes; None = those.

    Raises:
        UserError: the file is no ONNX model, or the provider is not available.
    """
    wanted = _PROVIDERS[provider]
    if wanted not in onnxruntime.get_available_providers():
        raise _no_provider(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(model or str(path), options, providers=[wanted])
    except _UNREADABLE as error:
        raise UserError(
            f"{path} is not an ONNX model that onnxruntime can read: {error}"
        ) from error
    if session.get_providers()[0] != wanted:
        raise _no_provider(provider)
    return session


def _no_provider(provider: str) -> UserError:
    return UserError(
        f"faces.provider is {provider}, but onnxruntime offers only "
        f"{', '.join(onnxruntime.get_available_providers())}. Install onnxruntime-gpu with its "
        "CUDA libraries in place of onnxruntime, or set faces.provider to cpu."
    )
