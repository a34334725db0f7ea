"""The incremental loop on cheap rows: same bytes always, work only where something changed."""

import hashlib
import json
import resource
import shutil
import traceback
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceshards import tar
from pipeline import tables
from pipeline.config.params import EngineParams
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
@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_bug_stops_the_run_with_its_traceback(tmp_path, workers):
    """In a child the traceback is the text; here it is that of the exception itself."""
    texts = toy.texts(9) | {"toy/real/x": "bug"}
    with pytest.raises((WorkError, ZeroDivisionError)) as bug:
        make(tmp_path, texts, EngineParams(workers=workers))
    text = "".join(traceback.format_exception(bug.value))
    assert "raise ZeroDivisionError(text)" in text
    assert "ZeroDivisionError: bug" in text
    assert "toy.py" in text


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


def test_what_was_committed_before_a_bug_is_not_worked_again(tmp_path, monkeypatch):
    """Only the partition in flight is repeated: each of the others was worked exactly once."""
    seen = worked(monkeypatch)
    texts = toy.texts(40)
    with pytest.raises(ZeroDivisionError):
        make(tmp_path, texts | {"toy/real/v0020": "bug"})
    assert "bug" in seen
    first, committed = list(seen), partitions_of(tmp_path / "store")
    assert committed
    seen.clear()
    make(tmp_path, texts)
    again = set(first) & set(seen)
    assert not again & committed
    assert len(again) <= 12  # of one partition; linear hashing makes them up to twice the target
    assert committed | set(seen) == set(texts.values())


def partitions_of(folder: Path) -> set[str]:
    """Texts of the rows in all committed partitions."""
    ids = [
        name
        for path in folder.glob("*.parquet")
        for name in partition.read_rows(path, ["id"]).column("id").to_pylist()
    ]
    return {f"text {int(name[-4:])}" for name in ids}


def test_a_damaged_tar_is_not_copied_under_a_new_name(tmp_path, monkeypatch):
    """Its size is right, so only the digests of the rows tell; the damaged row is worked anew."""
    texts = toy.texts(8)
    whole, _ = make(tmp_path, texts, target_rows=100)
    path = tmp_path / "store" / whole[0].facts.tar
    content = path.read_bytes()
    assert content.count(b"text 1 1") > 1
    path.write_bytes(content.replace(b"text 1 1", b"TEXT 1 1"))
    texts["toy/real/v0007"] = "changed"
    seen = worked(monkeypatch)
    make(tmp_path, texts, target_rows=100)
    assert sorted(seen) == ["changed", "text 1"]
    make(tmp_path / "b", texts, target_rows=100)
    assert digest(tmp_path / "store") == digest(tmp_path / "b" / "store")


def test_partitions_that_cannot_be_read_are_neither_deleted_nor_made_anew(tmp_path, monkeypatch):
    make(tmp_path, toy.texts(8))
    before = digest(tmp_path)
    with monkeypatch.context() as patch:
        seen = worked(patch)

        def refused(path):
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr(partition.Path, "read_bytes", refused)
        with pytest.raises(UserError, match=r"permission is denied \(.*\.parquet\)"):
            make(tmp_path, toy.texts(8))
        assert seen == []
    assert digest(tmp_path) == before


def test_a_parquet_that_is_none_is_made_anew(tmp_path):
    make(tmp_path, toy.texts(8))
    before = digest(tmp_path / "store")
    first, second, *_ = sorted((tmp_path / "store").glob("*.parquet"))
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:-200] + bytes(200))
    make(tmp_path, toy.texts(8))
    assert digest(tmp_path / "store") == before


@pytest.mark.parametrize("when", ["before it is copied", "before it is merged"])
def test_a_partition_that_vanishes_during_the_run_is_one_sentence(tmp_path, monkeypatch, when):
    make(tmp_path, toy.texts(9), target_rows=3)
    place = run.place

    def remove_and_place(*words):
        if when == "before it is copied":
            for path in (tmp_path / "store").glob("*.parquet"):
                path.unlink()
        yield from place(*words)
        for path in (tmp_path / "store").glob("*.parquet"):
            path.unlink()

    monkeypatch.setattr(run, "place", remove_and_place)
    with pytest.raises(UserError, match="vanished"):
        make(tmp_path, toy.texts(9) | {"toy/real/v0001": "changed"}, target_rows=3)


def test_a_partition_of_another_plan_is_not_merged(tmp_path, monkeypatch):
    """A file under the right name that says it was made from another plan."""
    place = run.place

    def place_and_swap(*words):
        yield from place(*words)
        path = next((tmp_path / "store").glob("*.parquet"))
        facts = partition.read_facts(path)
        other = partition.Committed(**{**vars(facts), "plan": "0" * 32})
        partition.write(path, "faces", partition.read_rows(path).to_pylist(), other)

    monkeypatch.setattr(run, "place", place_and_swap)
    with pytest.raises(UserError, match="changed or vanished during the run"):
        make(tmp_path, toy.texts(9))


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_that_is_refused_costs_the_row(tmp_path, workers):
    texts = toy.texts(5) | {"toy/real/bad": "vast"}
    whole, counts = make(tmp_path, texts, EngineParams(workers=workers), target_rows=100)
    assert counts["outputs"] == 10
    rejects = partition.rejects(whole[0].path).to_pylist()
    lost = {(r["id"].rsplit("/", 1)[0], r["reason"]) for r in rejects if r["reason"] != "no_face"}
    assert lost == {("toy/real/bad", "out_of_memory")}


def test_a_plan_without_rows_leaves_an_empty_table_and_store(tmp_path):
    make(tmp_path, toy.texts(5))
    whole, counts = make(tmp_path, {})
    assert whole == []
    assert counts == {"inputs": 0, "outputs": 0, "rejects": 0, "left_out": 0}
    assert tables.read(tmp_path / "faces.parquet", "faces").num_rows == 0
    assert list((tmp_path / "store").iterdir()) == []


def toy_stage(texts) -> stage.Stage:
    where = Store(stage.STORES / "faces", "faces", 4)
    return stage.Stage("faces", toy.ToyTask(), toy.plan(texts), where)


def test_the_store_stays_locked_until_its_table_and_metrics_are_written(tmp_path, monkeypatch):
    """Else a second run could delete the partitions that the first one merges."""
    monkeypatch.setattr(store, "LOCK_WAIT_S", 0.2)
    steps = []

    def refused_before(step):
        original = getattr(stage, step)

        def tried(*words):
            refused = pytest.raises(UserError, match="another run")
            with refused, store.locked(stage.STORES / "faces"):
                pass
            steps.append(step)
            return original(*words)

        return tried

    for step in ("write_table", "write_metrics"):
        monkeypatch.setattr(stage, step, refused_before(step))
    stage.run_stage(toy_stage(toy.texts(6)), HERE)
    assert steps == ["write_table", "write_metrics"]
    with store.locked(stage.STORES / "faces"):
        pass


def test_what_a_killed_run_began_to_write_beside_the_tables_goes(tmp_path):
    stage.run_stage(toy_stage(toy.texts(6)), HERE)
    undisturbed = sorted(tmp_path.rglob("*"))
    left = [
        Path("manifests/.tmp-faces.parquet-0123456789ab"),
        Path("manifests/rejected/.tmp-faces.parquet-0123456789ab"),
        Path("metrics/.tmp-faces.json-0123456789ab"),
        Path("data/stores/faces/.tmp-plan-0123456789ab.arrow"),
    ]
    for path in left:
        path.write_bytes(b"half")
    stage.run_stage(toy_stage(toy.texts(6)), HERE)
    assert sorted(tmp_path.rglob("*")) == undisturbed


def test_a_disk_that_fills_while_the_table_is_merged_is_one_sentence(tmp_path):
    """The partitions fit below the limit, the table of them all does not."""
    texts = toy.texts(120)
    stage.run_stage(toy_stage(texts), HERE)
    table = Path("manifests/faces.parquet")
    made = table.read_bytes()
    largest = max(p.stat().st_size for p in stage.STORES.rglob("*") if p.is_file())
    assert len(made) > 2 * largest
    shutil.rmtree("manifests")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(made) // 2, old[1]))
    try:
        with pytest.raises(UserError, match="run `dvc repro` again"):
            stage.run_stage(toy_stage(texts), HERE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not table.exists()
    stage.run_stage(toy_stage(texts), HERE)
    assert table.read_bytes() == made


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


@pytest.mark.parametrize("moment", ["before rows are copied", "before the table is merged"])
def test_damage_while_a_run_goes_on_is_worked_or_one_sentence(tmp_path, monkeypatch, moment):
    """A bit that flips after the store has been looked through."""
    texts = toy.texts(20)
    make(tmp_path, texts)
    plain = tmp_path / "plain"
    plain.mkdir()
    make(plain, texts, target_rows=100)
    place = run.place

    def flip() -> None:
        victim = sorted((tmp_path / "store").glob("*.parquet"))[0]
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)

    def spoiled(*words):
        if moment == "before rows are copied":
            flip()
        place(*words)
        if moment != "before rows are copied":
            flip()

    monkeypatch.setattr(run, "place", spoiled)
    if moment == "before rows are copied":
        make(tmp_path, texts, target_rows=100)
        assert digest(tmp_path / "store") == digest(plain / "store")
    else:
        with pytest.raises(UserError, match="changed or vanished during the run"):
            make(tmp_path, texts)
        monkeypatch.setattr(run, "place", place)
        make(tmp_path, texts)
        assert len(partition.outputs(sorted((tmp_path / "store").glob("*.parquet"))[0], "faces"))
