"""Where weights come from: found as given, told apart by SHA-256, loaded without running anything.

Weights are never downloaded here. A file of the right name and other contents is a common trap
(public checkpoints of one name differ in their anchors), so the digest in the parameters decides.
"""

import hashlib
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from faceshards.wording import counted
from pipeline.config.values import Weights
from pipeline.errors import UserError

if TYPE_CHECKING:
    import torch

_PARALLEL_PREFIX = "module."
"""What torch's DataParallel puts before every key of a model saved from inside it."""

UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)
"""What torch's reader raises for files that are refused, damaged or no checkpoints."""


def read_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hex characters.

    Raises UserError where the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


_digest: ContextVar[Callable[[Path], str]] = ContextVar("digest", default=read_sha256)


def sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hex characters: of its bytes, except inside :func:`digests_by`."""
    return _digest.get()(path)


@contextmanager
def digests_by(digest: Callable[[Path], str]) -> Iterator[None]:
    """Inside, digests are what ``digest`` says of a path: for looking before anything is loaded."""
    token = _digest.set(digest)
    try:
        yield
    finally:
        _digest.reset(token)


def find(
    weights: Weights, where: str, purpose: str, pattern: str = "*", packs: Path | None = None
) -> Path:
    """The one file that ``weights`` names, checked against its SHA-256.

    Args:
        weights: a file, a folder that holds it, or the name of a pack (a folder in ``packs``);
            relative paths are taken from the working directory. In a folder the digest says which
            file it is.
        where: the parameter that holds the weights, for messages (``faces.weights``).
        purpose: what needs them, for messages (``The detector retinaface``).
        pattern: glob of the files in a folder that come into question.
        packs: folder of packs; None where there is no such thing.

    Raises:
        UserError: nothing is there, the digest is not given, or no file has it.

    """
    if not weights.path:
        raise UserError(f"{purpose} needs weights: set {where}.path and {where}.sha256. {WITHOUT}")
    place = Path(weights.path).expanduser()
    if not place.exists() and packs is not None and (packs / weights.path).is_dir():
        place = packs / weights.path
    files = sorted(p for p in place.glob(pattern) if p.is_file()) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise UserError(_missing(weights, where, purpose, place, pattern, packs))
    digests = {path: sha256(path) for path in files}
    for path, digest in digests.items():
        if digest == weights.sha256.lower():
            return path
    found = ", ".join(f"{path} has {digest}" for path, digest in digests.items())
    if not weights.sha256:
        raise UserError(
            f"{where}.sha256 is empty; {found}. Write the digest there, so that a changed file "
            "is noticed."
        )
    raise UserError(
        f"{where}.sha256 is {weights.sha256}, but {found}. Put the right file in place, or, if "
        f"these are the weights you want, correct {where}.sha256."
    )


WITHOUT = "The sample profile needs no weights: `faceshards profile sample`."
"""What ends a message about weights that are not there."""


def _missing(
    weights: Weights, where: str, purpose: str, place: Path, pattern: str, packs: Path | None
) -> str:
    digest = f"SHA-256 {weights.sha256}" if weights.sha256 else f"give its digest in {where}.sha256"
    wanted = f"{place.absolute()}"
    if place.is_dir():
        wanted = f"a file {pattern} in {wanted}"
    elif packs is not None and not place.suffix:
        wanted = f"a folder {wanted} or {packs / weights.path}, with a file {pattern},"
    return (
        f"{purpose} needs {wanted} ({digest}), which does not exist. Put it there or change "
        f"{where}.path. {WITHOUT}"
    )


def load_state(
    path: Path, section: str = "", classes: Sequence[type] = ()
) -> dict[str, "torch.Tensor"]:
    """State dict of a torch checkpoint on the CPU, without a leading ``module.`` in its keys.

    Only tensors and plain containers are read (``weights_only=True``); nothing in the file is run.

    Args:
        path: the checkpoint; a name ending in ``.safetensors`` says that it is in that format.
        section: key under which a training checkpoint keeps the state dict, beside other things;
            a file without it is the state dict itself. "": it always is.
        classes: plain data classes, besides tensors and containers, that the file may hold.

    Raises:
        UserError: the file is not a state dict, holds more than weights, or a weight by two names.

    """
    import torch

    try:
        if path.suffix == ".safetensors":
            state: object = _load_safetensors(path)
        else:
            with torch.serialization.safe_globals(list(classes)):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        # torch's own message tells how to load it unsafely, so it is not passed on.
        raise UserError(
            f"{path} cannot be loaded as plain torch weights: it is no checkpoint, is damaged "
            "or holds more than tensors. Put a file of weights alone in its place."
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get(section), Mapping):
        state = state[section]
    if not isinstance(state, Mapping) or not all(
        isinstance(v, torch.Tensor) for v in state.values()
    ):
        raise UserError(f"{path} is not a state dict (names and tensors, nothing else).")
    plain = {str(key).removeprefix(_PARALLEL_PREFIX): value for key, value in state.items()}
    if len(plain) < len(state):
        both = (k for k in plain if f"{_PARALLEL_PREFIX}{k}" in state and k in state)
        twice = next(both, "a name")
        raise UserError(
            f"{path} holds {twice} and {_PARALLEL_PREFIX}{twice}, which are the same weight by two "
            "names. Put a file of one model in its place."
        )
    return plain


def _load_safetensors(path: Path) -> dict[str, "torch.Tensor"]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def load_into(model: "torch.nn.Module", path: Path, kind: str, hint: str) -> None:
    """Loads a checkpoint into a model whose keys and shapes it must match exactly.

    Args:
        model: receives the weights.
        path: the checkpoint.
        kind: what the model is, for the message (``RetinaFace with backbone resnet50``).
        hint: what to do when it does not fit.

    Raises:
        UserError: keys are missing or unknown, or shapes differ.

    """
    state = load_state(path)
    own = model.state_dict()
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    shapes = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    problems = [
        f"{counted(len(keys), *what)} (first: {keys[0]})"
        for what, keys in (
            (("key missing", "keys missing"), missing),
            (("key unknown", "keys unknown"), unknown),
            (("shape differs", "shapes differ"), shapes),
        )
        if keys
    ]
    if problems:
        raise UserError(f"{path} does not fit {kind}: {'; '.join(problems)}. {hint}")
    model.load_state_dict(state)
