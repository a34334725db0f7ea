import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from pipeline.commands.entry import EXTRAS, run_main
from pipeline.errors import UserError

ROOT = Path(__file__).parents[2]


def _raises(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_the_exit_code_is_what_the_function_returns(capsys, returned, code):
    assert run_main(lambda: returned) == code
    assert capsys.readouterr() == ("", "")


def test_a_users_mistake_is_one_line_and_code_2(capsys):
    assert run_main(_raises(UserError("params.yaml: no."))) == 2
    assert capsys.readouterr() == ("", "faceshards: params.yaml: no.\n")


@pytest.mark.parametrize(
    ("message", "package"),
    [
        ("libGL.so.1: cannot open shared object file: No such file or directory", "libgl1."),
        ("libgthread-2.0.so.0: cannot open shared object file", "libglib2.0-0t64 (libglib2.0-0 "),
    ],
)
def test_a_missing_system_library_names_the_package(capsys, message, package):
    assert run_main(_raises(ImportError(message))) == 2
    error = capsys.readouterr().err
    assert f"install the package {package}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("error", [ImportError("No module named 'cv3'"), ValueError("bug")])
def test_bugs_keep_their_traceback(error):
    with pytest.raises(type(error)):
        run_main(_raises(error))


def _missing(name):
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("module", "command"),
    [("ruamel.yaml", "faceshards[pipeline]"), ("distributed", "faceshards[cluster]")],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(capsys, module, command):
    assert run_main(_raises(_missing(module))) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"run `pip install '{command}'`.\n")
    assert error.count("\n") == 1


def test_a_module_of_ours_that_is_missing_is_a_bug():
    with pytest.raises(ModuleNotFoundError):
        run_main(_raises(_missing("pipeline.nonsense")))


def test_extras_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for extra, modules in EXTRAS.items():
        wanted = {re.split(r"[<>=]", one)[0] for one in extras[extra]} - {"faceshards[pipeline]"}
        brings = {
            name: {f.parts[0].removesuffix(".py") for f in metadata.distribution(name).files or ()}
            for name in wanted
        }
        assert all(any(module in tops for tops in brings.values()) for module in modules)
        assert all(tops & set(modules) for tops in brings.values())


def test_interruption_is_quiet(capsys):
    assert run_main(_raises(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "faceshards: interrupted.\n"


def test_a_stage_script_ends_without_traceback(tmp_path):
    script = (
        "from pathlib import Path\n"
        "from pipeline import config\n"
        "from pipeline.commands.entry import run_main\n"
        "raise SystemExit(run_main(lambda: config.load(Path('params.yaml')) and None))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("faceshards: params.yaml does not exist.")
    assert "Traceback" not in done.stderr


def test_who_reads_the_output_may_stop_at_any_time():
    code = (
        "from pipeline.commands.entry import run_main\n"
        "raise SystemExit(run_main(lambda: [print('x' * 9999) for _ in range(999)] and None))\n"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 141


def test_a_file_name_that_is_no_text_is_told(tmp_path):
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    code = (
        "import sys; from pipeline.commands.entry import run_main\n"
        "run_main(lambda: print(sys.argv[1]))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, os.fsencode(tmp_path) + b"/\xff"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
    )
    assert told.stdout.endswith("\\udcff\n")
    assert told.stderr == ""
