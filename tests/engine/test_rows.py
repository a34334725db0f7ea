"""All batches of a plan have the columns and types that it states, also where there is no row."""

import importlib
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline import config, stage_list, tables
from pipeline.config.params import Params
from pipeline.engine import plan_file
from pipeline.engine.rows import Plan
from pipeline.tables import schemas

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", [stage.name for stage in stage_list.WITH_STORE])
def test_every_stage_states_the_schema_of_its_plan(name, tmp_path, monkeypatch):
    """With no row at all: columns of null types were what a batch without rows had."""
    monkeypatch.chdir(tmp_path)
    for table in schemas.TABLES:
        if not table.startswith("index"):
            tables.write(Path(f"manifests/{table}.parquet"), table, tables.from_rows(table, []))
    Path("manifests/datasets.yaml").write_text("mine: {adapter: csv, root: ., manifest: a.csv}\n")
    Path("manifests/semantics.yaml").write_bytes((ROOT / "manifests/semantics.yaml").read_bytes())
    Path("params.yaml").write_text("expand: {datasets: []}\nfaces: {detector: dlib}\n")
    stage = importlib.import_module(f"stages.{name}").prepare(config.load())
    plan: Plan = stage.plan
    assert isinstance(config.load(), Params)
    assert plan.table.num_rows == 0
    assert plan.table.schema == plan.schema
    named = {plan.id, plan.bucket_by, *plan.content, *plan.location, *plan.attach}
    named |= {column for column in (plan.group_by, plan.order_by) if column}
    assert named <= set(plan.schema.names)
    assert pa.null() not in plan.schema.types
    assert len(plan_file.digest(plan, {}, None).ids) == 0


def test_a_batch_of_nulls_gets_the_types_and_a_wrong_one_is_a_bug():
    schema = pa.schema([("id", pa.string()), ("size", pa.int64())])

    def made(*batches: pa.Table) -> Plan:
        return Plan(lambda: batches, schema, "id", "id", content=("size",))

    empty = pa.table({"id": [], "size": []})
    full = pa.table({"size": pa.array([1], pa.int32()), "id": ["a"]})
    assert made(empty, full).table == pa.table({"id": ["a"], "size": [1]}, schema=schema)
    with pytest.raises(pa.ArrowInvalid):
        _ = made(pa.table({"id": ["a"], "size": ["many"]})).table
    with pytest.raises(KeyError):
        _ = made(pa.table({"id": ["a"]})).table
