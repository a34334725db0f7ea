"""The incremental loop on cheap rows: same bytes always, work only where something changed."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import tables, tar
from pipeline.config import EngineParams
from pipeline.engine import partition, run, stage, store
from pipeline.engine.survey import Store
from pipeline.engine.work import WorkError
from pipeline.errors import UserError
from tests.engine import toy

HERE = EngineParams(workers=0)


def make(folder: Path, texts, engine=HERE, copies=2, version=1, target_rows=4, labels=None):
    where = Store(folder / "store", "faces", target_rows)
    whole = run.run("toy", toy.ToyTask(copies), toy.plan(texts, labels), where, engine, version)
    counts = stage.write_table(whole, folder / "faces.parquet", "faces")
    return whole, counts


def digest(folder: Path) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(files)
    }


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def worked(monkeypatch) -> list[str]:
    """Records the texts that work really saw."""
    seen: list[str] = []
    original = toy.ToyTask.work

    def spy(self, inputs):
        seen.append(inputs["text"])
        return original(self, inputs)

    monkeypatch.setattr(toy.ToyTask, "work", spy)
    return seen


def test_blobs_lie_where_the_table_says(tmp_path):
    _, counts = make(tmp_path, toy.texts(10))
    faces = tables.read(tmp_path / "faces.parquet", "faces").to_pylist()
    assert counts == {"inputs": 30, "outputs": 20, "rejects": 10, "left_out": 0}
    assert len(faces) == 20
    for face in faces:
        path = tmp_path / "store" / face["tar"]
        number = int(face["video_id"][-4:])
        blob = tar.read(path, face["offset"], face["size"])
        assert blob == f"text {number} {face['sample']} ".encode() * (face["sample"] * 300 + 1)
        assert face["digest"] == hashlib.blake2b(blob, digest_size=16).hexdigest()
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:12] in path.name


def test_a_second_run_works_nothing_and_touches_nothing(tmp_path, monkeypatch):
    make(tmp_path, toy.texts(10))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").iterdir()}
    seen = worked(monkeypatch)
    make(tmp_path, toy.texts(10))
    assert seen == []
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "store").iterdir()} == before


def test_one_changed_row_is_worked_alone(tmp_path, monkeypatch):
    texts = toy.texts(30)
    make(tmp_path / "a", texts)
    before = digest(tmp_path / "a" / "store")
    seen = worked(monkeypatch)
    texts["toy/real/v0007"] = "another text"
    make(tmp_path / "a", texts)
    assert seen == ["another text"]
    after = digest(tmp_path / "a" / "store")
    assert len(set(before.items()) - set(after.items())) == 2  # one partition: parquet and tar


def test_a_renamed_row_keeps_its_bytes(tmp_path, monkeypatch):
    texts = toy.texts(12)
    make(tmp_path / "a", texts)
    texts["toy/real/renamed"] = texts.pop("toy/real/v0003")
    seen = worked(monkeypatch)
    make(tmp_path / "a", texts)
    assert seen == []
    make(tmp_path / "b", texts)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_a_label_fix_works_nothing(tmp_path, monkeypatch):
    make(tmp_path, toy.texts(8))
    seen = worked(monkeypatch)
    make(tmp_path, toy.texts(8), labels={"toy/real/v0003": "f" * 16})
    assert seen == []
    faces = tables.read(tmp_path / "faces.parquet", "faces").to_pylist()
    marks = {face["video_id"] for face in faces if face["phash"] == "f" * 16}
    assert marks == {"toy/real/v0003"}


def test_settings_and_version_are_in_the_fingerprint(tmp_path, monkeypatch):
    make(tmp_path, toy.texts(6))
    seen = worked(monkeypatch)
    make(tmp_path, toy.texts(6), copies=1)
    assert len(seen) == 6
    make(tmp_path, toy.texts(6), copies=1, version=2)
    assert len(seen) == 12


NAMES = [f"toy/real/v{i:04d}" for i in range(14)]
contents = st.sampled_from(["a", "b", "reject c", "d", "e"])
rows = st.dictionaries(st.sampled_from(NAMES), contents, min_size=1, max_size=14)
labels = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1" * 16, "2" * 16]), max_size=4)
states = st.tuples(rows, labels, st.sampled_from([1, 2])).filter(
    lambda state: any(not text.startswith("reject") for text in state[0].values())
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(states, min_size=2, max_size=4))
def test_any_sequence_of_states_ends_as_from_scratch(tmp_path_factory, history):
    """Rows come, go, change, are renamed (same text, other id), relabelled, re-parametrised.

    After each step the bytes are those of a run from scratch, and exactly the rows have been worked
    whose content and parameters were in no row of the step before.
    """
    folder = tmp_path_factory.mktemp("history")
    before: set[tuple[str, int]] = set()
    for number, (texts, marks, copies) in enumerate(history):
        with pytest.MonkeyPatch.context() as patch:
            seen = worked(patch)
            make(folder / "a", texts, target_rows=3, labels=marks, copies=copies)
        assert sorted(seen) == sorted(t for t in texts.values() if (t, copies) not in before)
        before = {(text, copies) for text in texts.values()}
        scratch = folder / f"scratch{number}"
        make(scratch, texts, target_rows=3, labels=marks, copies=copies)
        assert digest(folder / "a") == digest(scratch)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_bytes_do_not_depend_on_the_workers(tmp_path, workers):
    make(tmp_path / "here", toy.texts(12))
    make(tmp_path / "there", toy.texts(12), EngineParams(workers=workers))
    assert digest(tmp_path / "here") == digest(tmp_path / "there")


def test_a_crash_and_a_hang_cost_exactly_their_rows(tmp_path):
    texts = toy.texts(6) | {"toy/real/bad1": "crash", "toy/real/bad2": "hang"}
    engine = EngineParams(workers=1, row_deadline_s=2.0)
    whole, counts = make(tmp_path, texts, engine, target_rows=100)
    assert counts == {"inputs": 24, "outputs": 12, "rejects": 12, "left_out": 0}
    found = pa.concat_tables(partition.rejects(part.path) for part in whole).to_pylist()
    lost = {(row["id"].rsplit("/", 1)[0], row["reason"]) for row in found} - {
        (video, "no_face") for video in toy.texts(6)
    }
    assert lost == {("toy/real/bad1", "worker_died"), ("toy/real/bad2", "timeout")}
    assert "SIGSEGV" in next(row["detail"] for row in found if row["reason"] == "worker_died")


def test_transient_rejects_are_tried_again(tmp_path, monkeypatch):
    texts = {**toy.texts(3), "toy/real/v0009": "crash"}
    make(tmp_path, texts, EngineParams(workers=1), target_rows=100)
    monkeypatch.setattr(toy.signal, "SIGSEGV", 0)  # the machine has recovered
    seen = worked(monkeypatch)
    _, counts = make(tmp_path, texts, HERE, target_rows=100)
    assert seen == ["crash"]
    assert counts["outputs"] == 8


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bug_stops_the_run(tmp_path, workers):
    with pytest.raises(Exception, match=r"ZeroDivisionError|bug"):
        make(tmp_path, toy.texts(3) | {"toy/real/x": "bug"}, EngineParams(workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_end_of_file_in_the_work_is_a_bug_and_no_lost_process(tmp_path, workers):
    texts = toy.texts(3) | {"toy/real/x": "end of a file"}
    with pytest.raises(Exception, match=r"EOFError|end of a file"):
        make(tmp_path, texts, EngineParams(workers=workers))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_only_the_work_misses_is_a_bug_and_no_trouble_of_the_store(tmp_path, workers):
    texts = toy.texts(3) | {"toy/real/x": "gone"}
    with pytest.raises(WorkError, match=r"No such file.*gone"):
        make(tmp_path, texts, EngineParams(workers=workers))


def test_further_counts_are_summed_over_worked_and_kept_rows(tmp_path):
    texts = {"toy/real/a": "short", "toy/real/b": "long text", "toy/real/c": "other long text"}
    assert make(tmp_path, texts)[1]["long"] == 2
    texts["toy/real/d"] = "third long text"
    assert make(tmp_path, texts)[1]["long"] == 3
    del texts["toy/real/b"]
    assert make(tmp_path, texts)[1]["long"] == 2


def test_wholesale_failure_stops_with_the_reason(tmp_path):
    texts = {f"toy/real/{i}": f"reject {i}" for i in range(5)}
    with pytest.raises(UserError, match="not_media"):
        make(tmp_path, texts)


def test_what_an_interrupted_run_committed_is_used(tmp_path, monkeypatch):
    """Old and new partitions lie side by side until a run ends, so a killed run loses nothing."""
    texts = toy.texts(12)
    make(tmp_path, texts)
    changed = texts | {"toy/real/v0002": "changed", "toy/real/v0005": "bug"}
    with pytest.raises(ZeroDivisionError):
        make(tmp_path, changed)
    changed["toy/real/v0005"] = "mended"
    seen = worked(monkeypatch)
    make(tmp_path, changed)
    assert set(seen) <= {"changed", "mended"}
    make(tmp_path / "b", changed)
    assert digest(tmp_path / "store") == digest(tmp_path / "b" / "store")


def test_plain_names_are_checked_by_digest(tmp_path, monkeypatch):
    where = Store(tmp_path / "store", "faces", 100, tars=tmp_path / "tars", isolate=False)
    whole = run.run("toy", toy.ToyTask(), toy.plan(toy.texts(4)), where, HERE, 1)
    path = tmp_path / "tars" / whole[0].facts.tar
    assert path.name == "00000.tar"
    content = path.read_bytes()
    path.write_bytes(content.replace(b"text 1", b"text 9"))
    seen = worked(monkeypatch)
    run.run("toy", toy.ToyTask(), toy.plan(toy.texts(4)), where, HERE, 1)
    assert len(seen) == 4
    assert path.read_bytes() == content


def test_two_runs_do_not_share_a_store(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.2)
    with store.locked(tmp_path / "store"), pytest.raises(UserError, match="another run"):
        make(tmp_path, toy.texts(2))


def test_metrics_are_flat_and_hold_no_clock(tmp_path):
    stage.write_metrics("toy", {"inputs": 3, "outputs": 2})
    assert json.loads(Path("metrics/toy.json").read_text()) == {"inputs": 3, "outputs": 2}
