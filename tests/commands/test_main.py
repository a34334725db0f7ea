import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faceshards import fields, images
from pipeline import tables
from pipeline.commands import summary
from pipeline.commands.main import main
from pipeline.errors import UserError

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "init",
    "profile",
    "sample-data",
    "datasets",
    "licences",
    "audit",
    "verify",
    "clean",
    "sheet",
    "explain-sample",
    "summary",
)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with the profiles of the repository and no outputs."""
    (tmp_path / "profiles").mkdir()
    for path in (ROOT / "profiles").glob("*.yaml"):
        (tmp_path / "profiles" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "params.yaml").write_bytes((ROOT / "profiles/sample.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_names_every_command_and_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from pipeline.commands.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'cv2', 'torch', 'pyarrow', 'numpy', 'dask', 'av', 'dlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: faceshards {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["verify"], ["sample-data", "x", "--seed", "-1"]]
)
def test_wrong_arguments_exit_with_2(capsys, argv):
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2
    assert "usage: faceshards" in capsys.readouterr().err


def test_profiles_are_listed_and_the_present_one_is_marked(clone, capsys):
    assert main(["profile"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("* sample ") for line in lines)
    assert any(line.startswith("  paper-sjedd ") for line in lines)


def test_profile_shows_the_difference_and_then_puts_it_in_place(clone, capsys):
    assert main(["profile", "paper-sjedd"]) == 0
    out = capsys.readouterr().out
    assert "-  detector: dlib" in out
    assert "+  detector: retinaface" in out
    assert (clone / "params.yaml").read_bytes() == (
        clone / "profiles/paper-sjedd.yaml"
    ).read_bytes()
    assert main(["profile", "paper-sjedd"]) == 0
    assert "already" in capsys.readouterr().out


def test_profile_refuses_hand_edits_with_code_2_and_still_shows_the_difference(clone, capsys):
    edited = (clone / "params.yaml").read_text() + "# mine\n"
    (clone / "params.yaml").write_text(edited)
    assert main(["profile", "sample"]) == 2
    out, error = capsys.readouterr()
    assert "-# mine" in out
    assert error.startswith("faceshards: params.yaml holds edits of yours")
    assert (clone / "params.yaml").read_text() == edited
    assert main(["profile", "sample", "--force"]) == 0


def test_a_users_mistake_has_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.commands.main", "profile", "sampel"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == ("faceshards: There is no profile 'sampel'. Did you mean sample?\n")


def test_summary_before_any_stage_says_what_to_run(clone, capsys):
    assert main(["summary"]) == 2
    assert capsys.readouterr().err.endswith("Run `dvc repro`.\n")


@pytest.fixture
def outputs(clone):
    """Metrics, shards.json and rejects as the stages write them."""
    (clone / "metrics").mkdir()
    counts = {"inputs": 120, "outputs": 100, "rejects": 12, "left_out": 8, "noise": 1}
    (clone / "metrics/faces.json").write_text(json.dumps(counts))
    scan = {"inputs": 9, "outputs": 9, "rejects": 0, "left_out": 0}
    (clone / "metrics/scan.json").write_text(json.dumps(scan))
    train = clone / "data/shards/train"
    train.mkdir(parents=True)
    tars = {
        name: {
            "samples": 25,
            "bytes": 1,
            "sha256": "0" * 64,
            "labels": {"real": 10, "fake": 15},
        }
        for name in ("a.tar", "b.tar")
    }
    facts = {"format": fields.FORMAT, "name": "train", "tars": tars, "graphs": {}}
    (train / "shards.json").write_text(json.dumps(facts))
    (train / "a.tar").touch()
    reasons = ["no_face"] * 11 + ["truncated"]
    rows = [{"id": f"d/m/{i}", "reason": r, "detail": ""} for i, r in enumerate(reasons)]
    tables.write(
        clone / "manifests/rejected/faces.parquet", "rejected", tables.from_rows("rejected", rows)
    )
    return clone


def test_summary_counts_stages_shards_and_rejects(outputs, capsys):
    assert main(["summary"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["stage", "inputs", "outputs", "rejects", "left_out"] in rows
    assert ["scan", "9", "9", "0", "0"] in rows
    assert ["faces", "120", "100", "12", "8"] in rows
    assert rows.index(["scan", "9", "9", "0", "0"]) < rows.index(["faces", "120", "100", "12", "8"])
    assert ["data/shards/train", "2", "50", "20", "30"] in rows
    no_face, truncated = (
        next(r for r in rows if reason in r) for reason in ("no_face", "truncated")
    )
    assert no_face[:3] == ["faces", "11", "no_face"]
    assert truncated[:3] == ["faces", "1", "truncated"]
    assert ["faceshards", "verify", "data/shards/*"] in rows


def test_columns_of_the_summary_line_up(outputs):
    lines = summary.summary().splitlines()
    head, _, faces = lines[:3]
    assert faces.index("120") + 3 == head.index("inputs") + len("inputs")


def test_only_what_is_there_is_named(outputs, capsys):
    assert "index.html" not in summary.summary()
    (outputs / "report").mkdir()
    (outputs / "report/index.html").touch()
    assert "report/index.html" in summary.summary()
    (outputs / "data/shards/train/a.tar").unlink()
    assert "webdataset" not in summary.summary()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"labels": 3, "tars": {}, "samples": 1}'])
def test_damaged_shards_json_is_one_sentence(outputs, text):
    (outputs / "data/shards/train/shards.json").write_text(text)
    with pytest.raises(UserError, match=r"shards\.json: .*dvc repro"):
        summary.summary()


def test_the_snippet_of_the_summary_runs_and_reads_a_tar(clone, capsys):
    """The advice is executed as printed, on a tar made with the standard library."""
    import io
    import tarfile

    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (8, 6), (200, 10, 10)).save(picture, "JPEG")
    about = json.dumps({"label": 1, "vector": [1, -1]}).encode()
    (clone / "data/shards/train").mkdir(parents=True)
    with tarfile.open(clone / "data/shards/train/00000.tar", "w") as tar:
        for name, data in (("d/m/v/0.jpg", picture.getvalue()), ("d/m/v/0.json", about)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    lines = summary.READ.split("webdataset:\n")[1].splitlines()
    exec("\n".join(line.removeprefix("  ") for line in lines), {})  # noqa: S102
    assert capsys.readouterr().out == "d/m/v/0 (8, 6) 1 [1, -1]\n"


class _Library:
    """Stands where a command's library function is; remembers what it was called with."""

    def __init__(self, monkeypatch, module, name, result=None):
        import types

        self.calls = []
        self.result = result
        stand_in = types.ModuleType(module)
        setattr(stand_in, name, self)
        monkeypatch.setitem(sys.modules, module, stand_in)

    def __call__(self, *arguments, **named):
        self.calls.append(arguments)
        return self.result


def test_sample_data_passes_folder_and_seed(monkeypatch, capsys):
    library = _Library(monkeypatch, "pipeline.sample_data", "write_sample_data")
    assert main(["sample-data", "some/dir", "--seed", "5"]) == 0
    assert library.calls == [(Path("some/dir"), 5)]
    assert "some/dir" in capsys.readouterr().out


def test_sheet_writes_the_picture(monkeypatch, tmp_path):
    picture = np.full((40, 60, 3), (250, 20, 20), np.uint8)
    library = _Library(monkeypatch, "faceshards.sheet", "contact_sheet", picture)
    assert main(["sheet", "a", str(tmp_path / "new/b.jpg")]) == 0
    assert library.calls == [(Path("a"),)]
    written = images.decode_rgb((tmp_path / "new/b.jpg").read_bytes())
    assert np.abs(written.astype(int) - picture).max() < 6


@pytest.mark.parametrize(("count", "words"), [(0, "0 rejects"), (1, "1 reject"), (2, "2 rejects")])
def test_retry_tells_how_many(monkeypatch, capsys, count, words):
    library = _Library(monkeypatch, "pipeline.engine.retry", "retry", count)
    assert main(["retry", "faces", "--reason", "timeout"]) == 0
    assert library.calls == [("faces", "timeout")]
    then = "Next: `dvc repro`." if count else "Nothing is to be tried again."
    assert capsys.readouterr().out == f"{words} taken back. {then}\n"


@pytest.mark.parametrize(
    ("problems", "code", "head"),
    [
        ([], 0, "sound"),
        (["a.tar: sha256 differs"], 1, "1 problem"),
        (["a.tar: sha256 differs", "b.tar is missing"], 1, "2 problems"),
    ],
)
def test_verify_lists_problems_and_exits_with_1(monkeypatch, capsys, problems, code, head):
    library = _Library(monkeypatch, "faceshards.verify", "verify_folder", problems)
    assert main(["verify", "x", "y"]) == code
    assert [call[0] for call in library.calls] == [Path("x"), Path("y")]
    out = capsys.readouterr().out
    assert all(problem in out for problem in problems)
    assert [line for line in out.splitlines() if line[0] != " "] == [f"x: {head}", f"y: {head}"]


def test_verify_against_sums_kept_elsewhere(shards, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folders = [str(shards / name) for name in ("train", "val", "test", "expanded")]
    lines = subprocess.run(
        ["sha256sum", *(f"{folder}/shards.json" for folder in folders)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    Path("kept").write_text(lines)
    assert main(["verify", *folders, "--against", "kept", "--quick"]) == 0
    assert capsys.readouterr().out.count(": sound") == 4
    Path("kept").write_text(lines.replace(lines[0], "0" if lines[0] != "0" else "1", 1))
    assert main(["verify", *folders, "--against", "kept", "--quick"]) == 1
    assert "its sha256 is not the one in kept" in capsys.readouterr().out
    for text in ("", "no sums\n", lines.splitlines()[1]):
        Path("kept").write_text(text)
        assert main(["verify", folders[0], "--against", "kept", "--quick"]) == 2
        assert "kept" in capsys.readouterr().err


def _leak(folder):
    """Tables of two videos, one in train and one in test, of one person; no faces."""
    from tests.audit.test_videos import NO_REJECTS, table, video

    rows = [video(n=split, split=split, identity="x") for split in ("train", "test")]
    tables.write(folder / "manifests/videos.parquet", "videos", table(*rows))
    tables.write(folder / "manifests/rejected/scan.parquet", "rejected", NO_REJECTS)


def test_audit_prints_findings_and_fails_only_where_it_is_told_to(clone, capsys):
    _leak(clone)
    assert main(["audit"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("error, leak: 1 person, clip or group is in both train of ds and test")
    assert "ds/m/train" in out
    assert "Faces were not looked at" in out
    text = (clone / "params.yaml").read_text()
    (clone / "params.yaml").write_text(text.replace("leak: report ", "leak: fail "))
    assert main(["audit"]) == 1
    assert capsys.readouterr().out.endswith("these are to fail: leak.\n")


def test_audit_before_scan_says_what_to_run(clone, capsys):
    assert main(["audit"]) == 2
    assert "dvc repro" in capsys.readouterr().err


def test_datasets_names_every_adapter_within_100_columns(clone, capsys):
    from pipeline.datasets.base import adapters

    assert main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert {line.split(":")[0] for line in lines} >= set(adapters())
    assert "manifests/datasets.yaml lists no dataset." in lines


def test_datasets_refuses_an_unknown_name(clone, capsys):
    assert main(["datasets", "celeb-df"]) == 2
    assert "Did you mean celeb_df?" in capsys.readouterr().err


def test_a_profile_is_in_place_though_nobody_reads_the_difference(clone):
    """`faceshards profile NAME | head -1` must not keep the old parameters silently."""
    wanted = (clone / "profiles/paper-sjedd.yaml").read_bytes()
    done = subprocess.run(
        [
            "sh",
            "-c",
            f"{sys.executable} -m pipeline.commands.main profile paper-sjedd | head -1 >/dev/null",
        ],
        cwd=clone,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert (clone / "params.yaml").read_bytes() == wanted


def test_inspect_diff_and_export(shards, tmp_path, capsys):
    assert main(["inspect", str(shards)]) == 0
    assert "train: 24 samples of" in capsys.readouterr().out
    assert main(["inspect", str(shards / "train"), "--sheet", str(tmp_path / "s.jpg")]) == 0
    assert (tmp_path / "s.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert main(["diff", str(shards), str(shards)]) == 0
    assert main(["diff", str(shards / "train"), str(shards / "val")]) == 1
    capsys.readouterr()
    out = tmp_path / "out"
    assert main(["export", "folder", str(shards), str(out), "--dry-run"]) == 0
    assert not out.exists()
    assert "40 samples to write, 0 kept" in capsys.readouterr().out
    assert main(["export", "folder", str(shards), str(out)]) == 0
    assert len(list(out.rglob("*.jpg"))) == 40
    assert main(["export", "foldr", str(shards), str(out)]) == 2
    said = capsys.readouterr().err
    assert "There is no form 'foldr'. Did you mean folder? There are: csv (" in said
    assert "folder (pictures in folders" in said
