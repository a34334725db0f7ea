"""Imports run downwards only, and light commands import nothing heavy."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = [
    ["stages", "pipeline.commands"],
    ["pipeline.prediction"],
    ["pipeline.report", "pipeline.sample_data"],
    ["pipeline.training", "pipeline.evaluation", "pipeline.export"],
    ["pipeline.models", "pipeline.shards"],
    ["pipeline.expansion"],
    ["pipeline.faces"],
    ["pipeline.video", "pipeline.datasets", "pipeline.audit", "pipeline.selection"],
    ["pipeline.engine"],
    ["pipeline"],
    ["faceshards"],
]
"""From top to bottom; "pipeline" stands for the rooms and single files on the ground."""

HEAVY = {
    "torch",
    "cv2",
    "dask",
    "distributed",
    "insightface",
    "face_alignment",
    "onnxruntime",
    "dlib",
}


READING = {"numpy", "pyarrow", "cv2", "simplejpeg"}
"""What the base dependencies bring: all that `faceshards` may import."""


def modules() -> dict[str, Path]:
    found = {}
    for path in [
        p for top in ("faceshards", "pipeline", "stages") for p in ROOT.glob(f"{top}/**/*.py")
    ]:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def layer(name: str) -> int:
    for depth, roots in enumerate(LAYERS):
        if any(name == root or name.startswith(f"{root}.") for root in roots):
            return depth
    raise AssertionError(name)


def imported(path: Path, known: set[str], by_name: bool = True) -> set[str]:
    """Our own modules that a file imports, anywhere in it; ``by_name``: also by importlib."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in known else node.module for name in inside}
        elif by_name and isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            # An import by a name that is put together can be of anything below its fixed part.
            text = ast.unparse(node.args[0])
            names |= {other for other in known if re.match(_pattern(text), other)}
    return names & known


def _pattern(text: str) -> str:
    """What names a call of import_module may mean: whatever stands in braces is any name."""
    fixed = re.split(r"\{[^}]*\}", text.removeprefix("f").strip("'\""))
    return r"\w+".join(map(re.escape, fixed)) + "$"


def test_imports_run_downwards():
    known = modules()
    upward = [
        f"{name} imports {other}"
        for name, path in known.items()
        for other in imported(path, set(known)) - {"pipeline"}
        if layer(other) < layer(name)
    ]
    assert upward == []


def test_no_two_modules_import_each_other():
    known = modules()
    # A registry imports its members by name, and they import it.
    graph = {name: imported(path, set(known), False) - {name} for name, path in known.items()}

    def reaches(start: str, goal: str) -> bool:
        seen, todo = set(), list(graph[start])
        while todo:
            name = todo.pop()
            if name == goal:
                return True
            if name not in seen:
                seen.add(name)
                todo += graph[name]
        return False

    assert [name for name in graph if reaches(name, name)] == []


@pytest.mark.parametrize(
    "module", ["pipeline.commands.main", "stages.scan", "stages.frames", "stages.balance"]
)
def test_light_commands_import_nothing_heavy(module):
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    allowed = {"stages.frames": {"av"}}.get(module, set())
    assert not (HEAVY | {"av"}) & set(done.stdout.split()) - allowed


def packages(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names)


def test_the_shard_format_needs_its_base_dependencies_alone():
    found = {
        name: packages(path) - READING - {"faceshards"}
        for name, path in modules().items()
        if name.split(".")[0] == "faceshards"
    }
    assert len(found) > 10
    # For who has PyTorch anyway; nothing else imports it.
    assert found.pop("faceshards.torch_data") == {"torch"}
    # The extra `streaming`; PyTorch is imported where workers are asked for.
    assert found.pop("faceshards.remote") == {"fsspec", "webdataset"}
    assert found.pop("faceshards.streaming") == {"webdataset", "torch"}
    assert {name: others for name, others in found.items() if others} == {}
    known = modules()
    apart = {f"faceshards.{name}" for name in ("torch_data", "remote", "streaming")}
    for name in found:
        assert not apart & imported(known[name], set(known), by_name=False)


def test_the_base_dependencies_are_what_it_needs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=]", one)[0] for one in project["dependencies"]}
    by_module = metadata.packages_distributions()
    assert names == {by_module[module][0] for module in READING}


def fresh(code: str) -> set[str]:
    """Top-level packages that are loaded after some code, in a process of its own."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return set(done.stdout.split()) - set(sys.stdlib_module_names)


def test_importing_the_package_loads_nothing_but_itself():
    others = fresh("import faceshards; assert 'Shards' in dir(faceshards)") - fresh("")
    assert others == {"faceshards"}


def test_everything_it_offers_is_there_and_loads_nothing_heavy():
    loaded = fresh("import faceshards\nfor n in faceshards.__all__: getattr(faceshards, n)")
    assert loaded >= READING
    assert not loaded & ({"pipeline", "stages", "av", "dvc"} | HEAVY - READING)


def test_what_it_does_not_offer_is_an_attribute_error():
    import faceshards

    with pytest.raises(AttributeError, match="nonsense"):
        _ = faceshards.nonsense
    assert set(faceshards.__all__) == {"UserError", "__version__", *faceshards._MODULE_OF}
