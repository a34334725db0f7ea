"""Digests of the sample's outputs per stage, so that bytes do not change without a new version.

``golden.json`` holds, per platform, the digest of what goes in and, stage by stage, version and
digest of what comes out. ``WRITE_GOLDEN=1 python -m pytest tests/e2e/test_sample.py -k golden``
writes it.
"""

import hashlib
import json
from pathlib import Path

from pipeline.config import read_yaml

FILE = Path(__file__).with_name("golden.json")
OUTPUTS = {
    "scan": ["manifests/videos.parquet", "manifests/rejected/scan.parquet"],
    "frames": ["manifests/frames.parquet"],
    "faces": ["manifests/faces.parquet", "manifests/rejected/faces.parquet"],
    "balance": ["manifests/samples.parquet"],
    "landmarks": ["manifests/landmarks.parquet"],
    "expand": ["manifests/expanded.parquet"],
    "shard": ["data/shards/*/index.parquet", "data/shards/*/shards.json"],
}
"""Data stages in order, and the files that hold or name (by digest) all they make."""
UNREAD = ("engine", "runs", "evaluate", "report")
"""Sections of params.yaml that decide nothing of that."""


def measure(project: Path) -> dict[str, dict[str, object]]:
    """Version and digest of every stage of a finished sample; ``inputs`` first."""
    params = {k: v for k, v in read_yaml(project / "params.yaml").items() if k not in UNREAD}
    inputs = [json.dumps(params).encode(), (project / "manifests/semantics.yaml").read_bytes()]
    inputs += [p.read_bytes() for p in sorted((project / "data/raw/sample").rglob("*.mp4"))]
    found: dict[str, dict[str, object]] = {"inputs": {"version": 0, "digest": _digest(inputs)}}
    versions = read_yaml(project / "manifests/versions.yaml")
    for stage, patterns in OUTPUTS.items():
        files = [path for pattern in patterns for path in sorted(project.glob(pattern))]
        digest = _digest([path.read_bytes() for path in files])
        found[stage] = {"version": versions[stage], "digest": digest}
    return found


def first_change(old: dict[str, dict[str, object]], new: dict[str, dict[str, object]]) -> str:
    """What must be done about the first stage that differs; "" where nothing does.

    Stages after it read its outputs, so that their bytes may change with it.
    """
    refresh = "If that is meant, write the new digests as tests/e2e/golden.py says."
    for stage, found in new.items():
        if found == old.get(stage):
            continue
        if stage == "inputs":
            return f"The sample's parameters or videos changed. {refresh}"
        if stage in old and found["version"] == old[stage]["version"]:
            return (
                f"The stage {stage} gives other bytes for the same inputs: raise its number in "
                f"pipeline/versions.yaml, so that users' outputs are made anew. {refresh}"
            )
        return f"The stage {stage} has a new version. {refresh}"
    return ""


def read(platform: str) -> dict[str, dict[str, object]]:
    """What is stored for a platform; {} where nothing is."""
    stored = json.loads(FILE.read_text()) if FILE.is_file() else {}
    return stored.get(platform, {})


def write(platform: str, found: dict[str, dict[str, object]]) -> None:
    """Stores digests for a platform, beside those of others."""
    stored = json.loads(FILE.read_text()) if FILE.is_file() else {}
    FILE.write_text(json.dumps(stored | {platform: found}, indent=1, sort_keys=True) + "\n")


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
