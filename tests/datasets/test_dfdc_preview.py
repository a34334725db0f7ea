import json

import pytest

from pipeline.datasets.dfdc_preview import LIST
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, put_all, rejects, rows, run

REAL = "original_videos/643049/643049_A_001.mp4"
A = "method_A/643049/643049_A/1255229_643049_A_001.mp4"
B = "method_B/1260311/1260311_C/1255229_1260311_C_001.mp4"


def fake(target, swapped, part="train"):
    return {
        "label": "fake",
        "set": part,
        "target_id": target,
        "swapped_id": swapped,
        "source_video": f"original_videos/{target}/{target}_A_001.mp4",
        "augmentations": [],
    }


@pytest.fixture
def facts():
    return {
        REAL: {"label": "real", "set": "train", "target_id": 643049, "swapped_id": None},
        A: fake(643049, 1255229),
        B: fake(1260311, 1255229, "test"),
    }


@pytest.fixture
def root(tmp_path, facts):
    put(tmp_path / "p" / LIST, json.dumps(facts).encode())
    return put_all(tmp_path / "p", f"{REAL} {A} {B}")


@pytest.fixture
def look(tmp_path):
    return lambda *roots: run(entry("dfdc_preview", *roots, name="p"), tmp_path / "cache")


def test_rows(root, look):
    found = {row["path"]: row for row in rows(look(root)).values()}
    columns = ("split", "label", "method", "identity", "target_id", "source_id", "pair_id")
    assert {path: tuple(row[c] for c in columns) for path, row in found.items()} == {
        REAL: ("train", 0, "real", "p:643049", "", "", "p:643049_A_001"),
        A: ("train", 1, "method_A", "p:1255229", "p:643049", "p:1255229", "p:643049_A_001"),
        B: ("test", 1, "method_B", "p:1255229", "p:1260311", "p:1255229", "p:1260311_A_001"),
    }
    assert found[B]["leak_group"] == "p:1255229+p:1260311"


def test_conflicts_and_gaps(root, look, facts):
    facts[REAL]["label"] = "fake"
    facts[A]["set"] = "validation"
    facts["method_A/1/1_A/2_1_A_001.mp4"] = fake(1, 2)
    facts["method_B/1/1_A/2_1_A_001.mp4"] = fake(1, 2) | {"label": "?"}
    facts["method_C/1/1_A/2_1_A_001.mp4"] = fake(1, 2)
    put(root / LIST, json.dumps(facts).encode())
    put_all(root, "method_B/1/1_A/{2_1_A_001,3_1_A_001}.mp4 method_B/notes.txt")
    assert rejects(look(root)) == {
        f"p/{REAL}": "inconsistent",
        f"p/{A}": "inconsistent",
        "p/method_A/1/1_A/2_1_A_001.mp4": "missing",
        "p/method_B/1/1_A/2_1_A_001.mp4": "unknown_label",
        "p/method_B/1/1_A/3_1_A_001.mp4": "inconsistent",
        "p/method_B/notes.txt": "unsupported_media",
    }


@pytest.mark.parametrize("text", [b"", b"[]", b'{"a": 1}', b"[" * 99_999])
def test_a_damaged_list(root, look, text):
    put(root / LIST, text)
    with pytest.raises(UserError, match="does not map paths to facts"):
        look(root)


def test_without_the_list(root, look):
    (root / LIST).unlink()
    with pytest.raises(UserError, match=f"there is no {LIST}"):
        look(root)
