"""How shards.json is written, and the digest by which it checks itself."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

Vectors = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Sequence[int]]]]]
"""Label vector by graph, dataset, method and category, as ``vectors`` of shards.json has them."""

KEYS = (
    *("bytes", "digest", "format", "graph", "graphs", "index", "labels", "members"),
    *("name", "samples", "tars", "vectors"),
)
"""All keys of shards.json."""


def text(facts: Mapping[str, Any]) -> str:
    """The one way in which shards.json is written."""
    written = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return written + "\n"


def digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of all but the digest itself, 64 hex characters: tells damage, not forgery."""
    rest = {key: value for key, value in facts.items() if key != "digest"}
    return hashlib.sha256(text(rest).encode("utf-8", "surrogatepass")).hexdigest()
