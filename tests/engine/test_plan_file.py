import os
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import keys
from pipeline.engine import plan_file
from pipeline.engine.buckets import bucket_count, buckets_of
from pipeline.engine.division import divide
from pipeline.engine.rows import Plan, in_batches
from pipeline.tables.sources import BATCH_ROWS


def plan(rows: list[dict[str, object]], **how: Any) -> Plan:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    words = {"id": "name", "bucket_by": "video", "content": ("text", "numbers")} | how
    return Plan(in_batches(table), table.schema, **words)


SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("video", pa.string()),
        ("group", pa.string()),
        ("text", pa.string()),
        ("numbers", pa.list_(pa.float64())),
        ("file", pa.string()),
        ("order", pa.uint64()),
    ]
)
texts = st.text(max_size=6)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "name": texts,
            "video": texts,
            "group": st.sampled_from(["a/x", "b", "c"]),
            "text": texts,
            "numbers": st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=2),
            "file": texts,
            "order": st.integers(0, 2**64 - 1),
        }
    ),
    max_size=30,
    unique_by=lambda row: row["name"],
)


@given(rows, st.randoms())
def test_rows_come_back_from_the_file_in_any_order(tmp_path_factory, wanted, random):
    path = tmp_path_factory.mktemp("plan") / "rows"
    made = plan(wanted, location=("file",), attach=("group",), order_by="order")
    with path.open("wb") as file:
        digests = plan_file.digest(made, {"version": 1}, file)
    order = list(range(len(wanted)))
    random.shuffle(order)
    found = plan_file.read(path, digests.offsets[np.array(order, np.int64)])
    for at, row in zip(order, found, strict=True):
        asked = wanted[at]
        assert row.id == asked["name"]
        assert row.inputs == {name: asked[name] for name in ("text", "numbers", "file")}
        assert row.attach == {"group": asked["group"]}
        assert row.order == asked["order"]
        assert bytes.fromhex(row.fingerprint) == digests.fingerprints[at].ljust(16, b"\0")


@given(rows)
def test_a_fingerprint_is_content_and_settings_alone(wanted):
    before = plan_file.digest(plan(wanted, location=("file",)), {"a": 1}, None)
    moved = [row | {"name": row["name"] + "!", "file": "elsewhere", "video": "v"} for row in wanted]
    after = plan_file.digest(plan(moved, location=("file",)), {"a": 1}, None)
    assert np.array_equal(before.fingerprints, after.fingerprints)
    others = plan_file.digest(plan(wanted, location=("file",)), {"a": 2}, None)
    assert not set(before.fingerprints) & set(others.fingerprints)


@settings(max_examples=60)
@given(rows, st.integers(1, 8), st.booleans())
def test_a_division_is_linear_hashing_within_groups(wanted, target_rows, contiguous):
    made = plan(wanted, group_by="group", order_by="order")
    parts = divide(plan_file.digest(made, {}, None), target_rows, contiguous)
    assert sorted(at for part in parts for at in part.rows.tolist()) == list(range(len(wanted)))
    sizes = Counter(row["group"] for row in wanted)
    numbers = Counter()
    assert [part.name for part in parts] == sorted(part.name for part in parts)
    for part in parts:
        group, number = part.name.rsplit("-", 1)
        buckets = bucket_count(sizes[group], target_rows)
        hashes = np.array([keys.hash64(wanted[at]["video"]) for at in part.rows], np.uint64)
        assert {wanted[at]["group"] for at in part.rows} == {group}
        (bucket,) = set(buckets_of(hashes, buckets).tolist())
        assert int(number) == (numbers[group] if contiguous else bucket)
        numbers[group] += 1


@given(rows, st.randoms())
def test_a_digest_depends_on_rows_and_not_on_their_order(wanted, random):
    parts = divide(plan_file.digest(plan(wanted), {}, None), 4, False)
    shuffled = list(wanted)
    random.shuffle(shuffled)
    again = divide(plan_file.digest(plan(shuffled), {}, None), 4, False)
    assert [(a.name, a.digest) for a in parts] == [(b.name, b.digest) for b in again]
    if wanted:
        changed = [wanted[0] | {"text": wanted[0]["text"] + "!"}, *wanted[1:]]
        other = divide(plan_file.digest(plan(changed), {}, None), 4, False)
        differ = [a.name for a, b in zip(parts, other, strict=True) if a.digest != b.digest]
        assert len(differ) == 1


@pytest.mark.parametrize("where", [1, BATCH_ROWS + 1])
def test_an_id_that_comes_twice_is_a_bug(where):
    rows = [{"name": str(i), "video": "v", "text": "t", "numbers": []} for i in range(where + 1)]
    rows[where]["name"] = "0"
    with pytest.raises(ValueError, match="not unique: '0'"):
        plan_file.digest(plan(rows), {}, None)


@pytest.mark.slow
def test_memory_holds_digests_and_no_rows():
    """Four times the rows, of a kilobyte each, take less than 200 bytes more per row."""

    def made(count: int) -> Plan:
        def batches():
            for start in range(0, count, BATCH_ROWS):
                ids = [f"video {i}" for i in range(start, start + BATCH_ROWS)]
                yield pa.table({"id": ids, "text": [name * 100 for name in ids]})

        schema = pa.schema([("id", pa.string()), ("text", pa.string())])
        return Plan(batches, schema, "id", "id", content=("text",))

    def peak_bytes(count: int) -> int:
        tracemalloc.start()
        with Path(os.devnull).open("wb") as file:
            divide(plan_file.digest(made(count), {}, file), 100, False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = 2 * BATCH_ROWS, 8 * BATCH_ROWS
    peak_bytes(few)
    assert (peak_bytes(many) - peak_bytes(few)) / (many - few) < 200
