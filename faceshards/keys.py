"""Ids and keys: how they are made, escaped and hashed.

An *id* is readable (``ffpp/Deepfakes/.../000_003/00002-0``). A *key* is the same id made safe for a
tar member: percent-encoded, without dots, within USTAR's 100 + 155 bytes.
"""

import hashlib

KEY_PART_LIMITS = (30, 32, 90)
"""Longest encoded dataset, method and video name in bytes. With two slashes they fill 154 of the
155 bytes of a USTAR prefix; the last part (sample and rank) and the extension go into the name."""

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
_HASH_CHARS = 16


def video_id(dataset: str, method: str, name: str) -> str:
    """Id of a video: ``<dataset>/<method>/<name>``; the name may contain slashes."""
    return f"{dataset}/{method}/{name}"


def sample_unit(sample: int) -> str:
    """Suffix that names one planned time of a video, as in reject ids: ``/00007``."""
    return f"/{sample:05d}"


def face_id(video: str, sample: int, rank: int) -> str:
    """Id of a face: ``<video_id>/<sample, 5 digits>-<rank>``."""
    return f"{video}/{sample:05d}-{rank}"


def swap_id(target_face: str, method: str, count: int) -> str:
    """Id of an expanded sample: the target face's id with the new method, and ``-<count>`` behind.

    ``ffpp/real/a/00002-0`` and ``swap_eye``, 0 give ``ffpp/swap_eye/a/00002-0-0``.
    """
    dataset, _, rest = target_face.split("/", 2)
    return f"{dataset}/{method}/{rest}-{count}"


def encode_part(part: str, limit: int) -> str:
    """Percent-encodes one part of an id; shortened with a hash where it exceeds ``limit`` bytes.

    Only ``A-Z a-z 0-9 _ -`` stay; ``.``, ``/``, ``%`` and ``~`` never survive, and ``~`` marks a
    hash, so different parts always have different encodings.
    """
    encoded = "".join(chr(b) if b in _SAFE else f"%{b:02X}" for b in part.encode())
    if len(encoded) <= limit:
        return encoded
    digest = hashlib.blake2b(part.encode(), digest_size=_HASH_CHARS // 2).hexdigest()
    return f"{encoded[: limit - _HASH_CHARS - 1]}~{digest}"


def encode_id(sample_id: str) -> str:
    """Shard key of a face or expanded sample id (``dataset/method/name.../last``)."""
    dataset, method, rest = sample_id.split("/", 2)
    name, last = rest.rsplit("/", 1)
    parts = [
        encode_part(p, n) for p, n in zip((dataset, method, name), KEY_PART_LIMITS, strict=True)
    ]
    return "/".join([*parts, encode_part(last, KEY_PART_LIMITS[2])])


def hash64(text: str) -> int:
    """First 8 bytes of BLAKE2b of the text as an unsigned integer, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def digest128(data: bytes) -> str:
    """BLAKE2b-128 of some bytes as 32 hex characters."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()
