"""An order of names that looks random and is the same everywhere, for millions of names."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceshards import keys
from pipeline.tables.arrays import Ints, counting, flat

_AT_ONCE = 1 << 16
_WORD = 8


def seeded_order(names: pa.ChunkedArray, seed: int) -> Ints:
    """Order of names by a hash of seed and name, whatever order they come in.

    :func:`faceshards.keys.hash64` takes a microsecond a name; this hashes eight bytes of all of
    them at a time.

    Args:
        names: (N,) text, each once.
        seed: another seed, another order.

    Returns:
        int64 (N,), places in ``names``.
    """
    text = flat(names)
    hashes = np.zeros(len(text), np.uint64)
    for start in range(0, len(text), _AT_ONCE):
        lengths, words = _words(text.slice(start, _AT_ONCE))
        state = _mixed(lengths.astype(np.uint64) ^ np.uint64(keys.hash64(str(seed))))
        for place, word in enumerate(words.T):
            # A word that only longer names have must not change this one's hash.
            state = np.where(place * _WORD < lengths, _mixed(state ^ word), state)
        hashes[start : start + _AT_ONCE] = state
    return np.argsort(hashes, kind="stable")


def _words(text: pa.Array) -> tuple[Ints, NDArray[np.uint64]]:
    """Bytes of each name (N,), and the names, eight bytes in a word, zeros behind: (N, words)."""
    raw = text.cast(pa.large_binary())
    _, offsets_buffer, data = raw.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[raw.offset : raw.offset + len(raw) + 1]
    lengths = np.diff(offsets)  # (N,)
    padded = np.zeros((len(raw), _WORD * -(-int(lengths.max(initial=1)) // _WORD)), np.uint8)
    if data is not None:
        letters = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
        padded[np.repeat(np.arange(len(raw)), lengths), counting(lengths)] = letters
    return lengths, padded.view("<u8").astype(np.uint64)


def _mixed(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64 (Steele, Lea and Flood 2014): a permutation that mixes all bits."""
    state = state + _STEP
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    return np.asarray(state ^ (state >> np.uint64(31)))


_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
