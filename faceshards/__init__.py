"""The shard format, for whoever reads faces: keys, tars, index, reading, loading and checking.

Everything in ``__all__`` is imported when it is first used, so that ``import faceshards`` loads
neither OpenCV nor Arrow. What makes shards is the package ``pipeline``, which nothing here needs.
:mod:`faceshards.torch_data` is for trainers that have PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from faceshards.errors import UserError

if TYPE_CHECKING:
    from faceshards.filters import Filter
    from faceshards.images import decode_rgb
    from faceshards.keys import encode_id, face_id, video_id
    from faceshards.loader import Batch, Loader
    from faceshards.order import (
        Balanced,
        ClassesBySamples,
        InOrder,
        Shuffled,
        Weighted,
        equal_weights,
        group_numbers,
        group_weights,
        video_weights,
    )
    from faceshards.reading import Sample, Shards
    from faceshards.samples import Samples
    from faceshards.sheet import contact_sheet
    from faceshards.verify import verify_folder

__version__ = "0.1.0"

__all__ = [
    "Balanced",
    "Batch",
    "ClassesBySamples",
    "Filter",
    "InOrder",
    "Loader",
    "Sample",
    "Samples",
    "Shards",
    "Shuffled",
    "UserError",
    "Weighted",
    "__version__",
    "contact_sheet",
    "decode_rgb",
    "encode_id",
    "equal_weights",
    "face_id",
    "group_numbers",
    "group_weights",
    "verify_folder",
    "video_id",
    "video_weights",
]

_MODULES = {
    "filters": ("Filter",),
    "images": ("decode_rgb",),
    "keys": ("encode_id", "face_id", "video_id"),
    "loader": ("Batch", "Loader"),
    "order": (
        *("Balanced", "ClassesBySamples", "InOrder", "Shuffled", "Weighted"),
        *("equal_weights", "group_numbers", "group_weights", "video_weights"),
    ),
    "reading": ("Sample", "Shards"),
    "samples": ("Samples",),
    "sheet": ("contact_sheet",),
    "verify": ("verify_folder",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Imports what is asked for the first time."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'faceshards' has no attribute {name!r}")
    value: object = getattr(import_module(f"faceshards.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
