import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import tables
from pipeline.errors import UserError
from pipeline.tables import schemas

ROW = {"id": "d/real/a", "reason": "missing", "detail": ""}


def rows(**changes):
    return pa.Table.from_pylist([ROW | changes], schema=schemas.schema("rejected"))


def test_what_is_written_is_read_and_a_plain_reader_sees_the_meanings(tmp_path):
    path = tmp_path / "rejected.parquet"
    assert tables.write(path, "rejected", [rows(), rows(id="d/real/b")]) == 2
    found = tables.read(path, "rejected")
    assert found.to_pylist() == [ROW, ROW | {"id": "d/real/b"}]
    assert tables.read(path, "rejected", ["id"]).column_names == ["id"]
    plain = pq.read_schema(path)
    assert all(plain.field(name).metadata[b"meaning"] for name in ROW)
    assert [file.name for file in tmp_path.iterdir()] == ["rejected.parquet"]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for file in files:
        tables.write(file, "rejected", rows())
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (rows(reason="bored"), "column reason: 'bored' is not allowed"),
        (rows(detail=None), "column detail: 1 nulls"),
        (rows().drop_columns(["detail"]), "schema is"),
        (rows().append_column("more", pa.array([1])), "schema is"),
    ],
)
def test_a_table_that_breaks_its_schema_is_refused_and_nothing_written(tmp_path, table, said):
    path = tmp_path / "rejected.parquet"
    tables.write(path, "rejected", rows())
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"table rejected.*{said}|{said}"):
        tables.write(path, "rejected", [rows(), table])
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_rows_and_columns_must_be_those_of_the_table():
    with pytest.raises(ValueError, match=r"columns \['detail'\] missing or unknown"):
        tables.from_rows("rejected", [{"id": "a", "reason": "missing"}])
    with pytest.raises(ValueError, match=r"columns \['more'\] missing or unknown"):
        tables.from_columns("rejected", {name: [ROW[name]] for name in ROW} | {"more": [1]})
    assert tables.from_columns("rejected", {name: [ROW[name]] for name in ROW}).equals(rows())


def test_a_file_that_is_no_table_of_this_version_is_the_users_to_mend(tmp_path):
    path = tmp_path / "rejected.parquet"
    with pytest.raises(UserError, match="does not exist"):
        tables.read(path, "rejected")
    path.write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(UserError, match="not a readable table"):
        tables.read(path, "rejected")
    pq.write_table(pa.table({"id": ["a"]}), path)
    with pytest.raises(UserError, match="not a table of this version"):
        tables.read(path, "rejected")
