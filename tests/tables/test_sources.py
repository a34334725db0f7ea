import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables.sources import BATCH_ROWS, Filtered, Held, Places, Stored, read


def samples(count: int) -> pa.Table:
    rows = range(count)
    columns = {"face_id": [f"a/real/{i}/00000-0" for i in rows], "split": ["train"] * count}
    more = {"label": [i % 2 for i in rows], "weight": [1.0] * count, "quota": [1] * count}
    return tables.from_columns("samples", columns | more)


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, 2 * BATCH_ROWS + 1])
def test_held_and_stored_give_the_same_batches(tmp_path, count):
    table = samples(count)
    tables.write(tmp_path / "samples.parquet", "samples", table)
    columns = ["label", "face_id"]
    for source in (Held(table), Stored(tmp_path / "samples.parquet", "samples")):
        batches = list(source.batches(columns))
        assert batches
        assert max(batch.num_rows for batch in batches) <= BATCH_ROWS
        assert pa.concat_tables(batches).equals(table.select(columns))
        assert read(source, columns).equals(table.select(columns))


def test_a_table_that_is_not_there_or_of_another_version_is_one_sentence(tmp_path):
    path = tmp_path / "samples.parquet"
    with pytest.raises(UserError, match=r"samples\.parquet does not exist.*dvc repro"):
        list(Stored(path, "samples").batches(["label"]))
    pq.write_table(samples(2).drop_columns(["label"]), path)
    assert read(Stored(path, "samples"), ["face_id"]).num_rows == 2
    with pytest.raises(UserError, match="not a table of this version"):
        list(Stored(path, "samples").batches(["label"]))
    path.write_bytes(b"no parquet")
    with pytest.raises(UserError, match="not a readable table"):
        list(Stored(path, "samples").batches(["label"]))


def test_values_out_of_range_are_found_while_reading(tmp_path):
    table = samples(3)
    bad = table.set_column(2, table.schema.field("label"), pa.array([0, 1, 7], pa.int8()))
    pq.write_table(bad, tmp_path / "samples.parquet")
    with pytest.raises(ValueError, match="column label: 7"):
        list(Stored(tmp_path / "samples.parquet", "samples").batches(["label"]))


def test_filtered_looks_at_columns_that_nobody_asked_for():
    table = samples(10)
    odd = Filtered(Held(table), ("label",), lambda batch: batch["label"].to_numpy() == 1)
    assert read(odd, ["face_id"]).equals(
        table.slice(1).take(list(range(0, 9, 2))).select(["face_id"])
    )


names = st.lists(st.text(max_size=3), unique=True, max_size=30)


@given(names, st.lists(st.text(max_size=3), max_size=30), st.integers(1, 7))
def test_places_are_those_of_a_dictionary(known, asked, chunk):
    chunks = [known[at : at + chunk] for at in range(0, len(known), chunk)]
    places = Places(pa.chunked_array([part], pa.string()) for part in chunks)
    by_name = {name: at for at, name in enumerate(known)}
    found = places.find(pa.chunked_array([asked, known], pa.string()))
    assert found.tolist() == [by_name.get(name, -1) for name in [*asked, *known]]
    assert len(places) == len(known)


def test_places_of_a_source_count_over_all_batches():
    table = samples(2 * BATCH_ROWS + 3)
    places = Places.of(Held(table), "face_id")
    order = np.random.default_rng(0).permutation(table.num_rows)
    assert np.array_equal(places.find(table["face_id"].take(pa.array(order))), order)
