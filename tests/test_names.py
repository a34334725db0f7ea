"""One name, one thing: no two public classes of the project share a name."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]


def public_classes(*packages: str) -> dict[str, list[str]]:
    """Files by the name of each class that does not begin with an underscore."""
    found = defaultdict(list)
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(ROOT)))
    return found


def test_no_two_public_classes_have_one_name():
    found = public_classes("faceshards", "pipeline", "stages")
    assert {"Classifier", "Detector"} <= found.keys()
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
