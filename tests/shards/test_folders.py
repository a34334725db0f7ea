"""From the engine's partitions to shard folders."""

from faceshards.verify import verify_folder
from pipeline import tables
from pipeline.config.params import EngineParams, JpegParams
from pipeline.engine import run
from pipeline.engine.survey import Store
from pipeline.labels import semantics
from pipeline.shards.folders import write_folders
from pipeline.shards.pack import PackTask, pack_plan
from pipeline.tables.sources import Held
from tests.shards import made


def test_names_of_datasets_may_begin_alike(tmp_path, monkeypatch):
    """Groups sort as "ffpp", "ffpp-0", "ffpp-b"; the names of their tars do not."""
    monkeypatch.chdir(tmp_path)
    world = made.world(tmp_path / "world", second="ffpp-0")
    others = ("videos", "faces", "samples", "landmarks", "expanded")
    plan = pack_plan(
        *(Held(world.tables[name]) for name in others),
        semantics.load(made.SEMANTICS),
        {"ffpp": "faceforensics", "ffpp-0": "csv"},
        made.SHARDED,
        world.faces_store,
        world.expand_store,
    )
    shards = tmp_path / "shards"
    where = Store(tmp_path / "store", "index_expanded", 6, tars=shards, isolate=False)
    here = EngineParams(workers=0)
    whole = run.run("shard", PackTask(JpegParams()), plan, where, here, version=1)
    metrics = write_folders(whole, shards, made.label_facts())
    index = tables.read(shards / "train/index.parquet", "index")
    assert index.num_rows == metrics["samples_train"] == 24
    assert sorted(set(index["dataset"].to_pylist())) == ["ffpp", "ffpp-0"]
    tars = index["tar"].to_pylist()
    assert tars == sorted(tars)
    for folder in ("train", "val", "test", "expanded"):
        assert verify_folder(shards / folder) == []
