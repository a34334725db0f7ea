import json
from pathlib import Path

import pytest

from pipeline import tables
from pipeline.labels import semantics
from pipeline.shards.folder_index import TarFacts, write_folder_index
from pipeline.tables import schemas
from tests.shards import made


def test_an_empty_split_is_a_valid_folder(shards: Path) -> None:
    about = json.loads((shards / "test" / "shards.json").read_text())
    assert (about["tars"], about["samples"], about["labels"]) == ({}, 0, {"fake": 0, "real": 0})
    assert tables.read(shards / "test" / "index.parquet", "index").num_rows == 0


def test_shards_json_explains_the_folder(shards: Path) -> None:
    text = (shards / "train" / "shards.json").read_text()
    about = json.loads(text)
    assert text == json.dumps(about, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    # 2 datasets x (3 real + 3 fake videos in train) x 2 faces
    assert (about["samples"], about["labels"]) == (24, {"fake": 12, "real": 12})
    graph = about["graphs"]["ffpp"]
    assert graph["nodes"][:4] == ["face", "expression", "identity", "physical_inconsistency"]
    assert ["face", "identity"] in graph["edges"]
    assert len(graph["edges"]) == 3 + 2 + 6 + 4
    assert len(graph["prompts"]) == 10
    assert about["graph"] == "ffpp"
    assert set(about["graphs"]) == set(about["vectors"]) == {"ffpp", "ffsc"}
    assert about["bytes"] == sum(p.stat().st_size for p in (shards / "train").glob("*.tar"))


def test_shards_json_has_the_vector_of_every_kind_in_every_graph(shards: Path) -> None:
    known = semantics.load(made.SEMANTICS)
    for name in ("train", "val", "expanded"):
        about = json.loads((shards / name / "shards.json").read_text())
        rows = tables.read(shards / name / "index.parquet", schemas.index_table(name)).to_pylist()
        for graph in ("ffpp", "ffsc"):
            said = {
                (dataset, method, category): vector
                for dataset, methods in about["vectors"][graph].items()
                for method, categories in methods.items()
                for category, vector in categories.items()
            }
            adapters = {"ffpp": "faceforensics", "wild": "csv"}
            wanted = {
                (r["dataset"], r["method"], r["category"]): list(
                    known.vector(
                        graph,
                        r["dataset"],
                        adapters[r["dataset"]],
                        r["method"],
                        r["label"],
                        r["category"],
                    )
                )
                for r in rows
            }
            assert said == wanted
        own = about["vectors"]["ffpp"]
        for row in rows:
            assert row["vector"] == own[row["dataset"]][row["method"]][row["category"]]


def test_tars_that_are_not_named_go(tmp_path: Path) -> None:
    (tmp_path / "old-00007.tar").write_bytes(b"x")
    write_folder_index(tmp_path, "val", [], {}, made.label_facts())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["index.parquet", "shards.json"]


def test_facts_must_fit_the_index(tmp_path: Path) -> None:
    facts = {"a-00000.tar": TarFacts(1, 1, "", {"fake": 0, "real": 1})}
    with pytest.raises(ValueError, match="disagree"):
        write_folder_index(tmp_path, "val", [], facts, made.label_facts())
