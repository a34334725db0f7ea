import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from faceshards import fields, images, keys, tar
from pipeline import tables
from pipeline.config.params import JpegParams
from pipeline.errors import UserError
from pipeline.shards import describe
from pipeline.shards.pack import PackTask
from pipeline.tables import schemas
from tests.shards import made

DESIGN = {
    *("label", "vector", "graph", "split", "dataset", "method", "category", "subtype"),
    *("compression", "audio_fake", "generator", "region", "source_method", "face_id", "video_id"),
    *("pair_id", "leak_group", "identity", "target_id", "source_id", "sample", "time_s", "rank"),
    *(
        "track",
        "score",
        "face_px",
        "padded",
        "sharpness",
        "brightness",
        "altered",
        "pose_deg",
        "box",
    ),
    "landmarks",
}
RECIPE = {
    *("source_face_id", "distance", "align", "dilate_px", "blur_sigma_px", "mask_seed", "color"),
    *("max_gain", "change", "color_gap", "sharpness_gap", "source_affine"),
}


def abouts(folder: Path) -> list[dict]:
    """Every json of a folder by the standard library alone."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as file:
            found += [json.load(file.extractfile(m)) for m in file if m.name.endswith(".json")]
    return found


@pytest.mark.parametrize("folder", ["train", "val", "expanded"])
def test_every_json_has_the_same_keys_and_types(shards: Path, folder: str) -> None:
    found = abouts(shards / folder)
    expected = DESIGN | RECIPE if folder == "expanded" else DESIGN
    assert found
    for about in found:
        assert set(about) == expected
        assert list(about) == sorted(about)
        assert None not in about.values()
    types = {tuple((k, type(v)) for k, v in about.items()) for about in found}
    assert len(types) == 1


def test_what_samples_say_of_themselves(shards: Path, world: made.World) -> None:
    about = next(a for a in abouts(shards / "train") if a["method"] == "Deepfakes")
    face = world.tables["faces"].filter(pc.field("face_id") == about["face_id"]).to_pylist()[0]
    point = world.tables["landmarks"].filter(pc.field("face_id") == about["face_id"]).to_pylist()[0]
    assert (about["label"], about["split"], about["category"]) == (1, "train", "FS")
    assert about["vector"] == [1, -1, 1, 1, 1, 1, 1, 1, 1, 1]  # SJEDD, Table I, Deepfakes
    assert (about["generator"], about["region"], about["source_method"]) == ("", "", "")
    assert about["box"] == face["box"]
    assert about["score"] == 0.9876
    assert (about["sharpness"], about["brightness"]) == (33.33, 127.13)
    np.testing.assert_allclose(about["landmarks"], point["points"], atol=0.0051)
    assert all(a["landmarks"] == [] for a in abouts(shards / "val"))
    unheard = next(a for a in abouts(shards / "train") if a["method"] == "unheard-of")
    assert unheard["vector"] == [1] + [-1] * 9


def test_expanded_samples_are_their_targets_relabelled(shards: Path, world: made.World) -> None:
    rows = {r["sample_id"]: r for r in world.tables["expanded"].to_pylist()}
    index = tables.read(shards / "expanded" / "index.parquet", "index_expanded").to_pylist()
    assert {row["sample_id"] for row in index} == set(rows)
    for row in index:
        recipe = rows[row["sample_id"]]
        assert row["face_id"] == recipe["target_face_id"]
        assert row["source_face_id"] == recipe["source_face_id"]
        assert (row["label"], row["split"], row["category"]) == (1, "train", "local")
        assert row["target_id"] == row["identity"]
        assert row["source_id"] == f"ffpp/{_number(recipe['source_face_id'])}"
        assert (row["distance"], row["generator"]) == (12.346, "swap")
        assert row["blur_sigma_px"] == recipe["blur_sigma_px"] == 4.015625  # not rounded
    nose = next(a for a in abouts(shards / "expanded") if a["region"] == "nose")
    assert nose["vector"] == [1, 0, 0, 1, 0, 0, 0, 0, 1, 0]  # SJEDD, Table I, Nose
    assert nose["source_affine"] == [1.0, 0.0, 0.123457, 0.0, 1.0, 2.0]
    assert str(nose["source_affine"][1]) == "0.0"
    assert len(nose["landmarks"]) == 136


def _number(face: str) -> int:
    return int(face.split(".")[1][0])


def test_pictures_pass_the_encoder_once(shards: Path, world: made.World) -> None:
    stored = {r["face_id"]: r for r in world.tables["faces"].to_pylist()}
    seen = set()
    for folder in ("train", "val"):
        for row in tables.read(shards / folder / "index.parquet", "index").to_pylist():
            face = stored[row["face_id"]]
            before = tar.read(world.faces_store / face["tar"], face["offset"], face["size"])
            after = tar.read(shards / folder / row["tar"], row["jpg_offset"], row["jpg_size"])
            if face["encoding"] == "png":
                before = images.encode_jpeg(images.decode_rgb(before), 95, "4:4:4")
            assert after == before
            seen.add(face["encoding"])
    assert seen == {"png", "jpg"}


def test_masks_are_copied(shards: Path) -> None:
    row = tables.read(shards / "expanded" / "index.parquet", "index_expanded").to_pylist()[0]
    path = shards / "expanded" / row["tar"]
    mask = images.decode_grey(tar.read(path, row["mask_png_offset"], row["mask_png_size"]))
    assert (mask.shape, int(mask[60, 100]), int(mask[0, 0])) == ((224, 224), 255, 0)


def test_a_flipped_mask_is_refused(world: made.World) -> None:
    row = next(r for r in world.plan().table.to_pylist() if r["mask_size"] > 0)
    task = PackTask(JpegParams())
    assert task.work(row).done == 1
    row["mask_digest"] = "0" * 32  # as good as other bytes in the tar
    with pytest.raises(UserError, match="is damaged"):
        task.work(row)


def test_jpeg_parameters_are_used_and_fingerprinted(world: made.World, tmp_path: Path) -> None:
    made.shard(world, tmp_path, JpegParams(quality=50, subsampling="4:2:0"))
    row = tables.read(tmp_path / "expanded" / "index.parquet", "index_expanded").to_pylist()[0]
    stored = {r["sample_id"]: r for r in world.tables["expanded"].to_pylist()}[row["sample_id"]]
    png = tar.read(world.expand_store / stored["tar"], stored["offset"], stored["size"])
    jpg = tar.read(tmp_path / "expanded" / row["tar"], row["jpg_offset"], row["jpg_size"])
    assert jpg == images.encode_jpeg(images.decode_rgb(png), 50, "4:2:0")
    assert PackTask(JpegParams()).settings() != PackTask(JpegParams(quality=50)).settings()


def test_same_bytes_again(shards: Path, world: made.World, tmp_path: Path) -> None:
    made.shard(world, tmp_path)
    first = {p.relative_to(shards): p.read_bytes() for p in shards.rglob("*") if p.is_file()}
    second = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert first == second
    assert sum(path.suffix == ".tar" for path in first) >= 6


def test_order_of_tables_does_not_matter(world: made.World) -> None:
    shuffled = {}
    for name, table in world.tables.items():
        shuffled[name] = table.take(np.random.default_rng(3).permutation(table.num_rows))
    other = replace(world, tables=shuffled).plan()
    key = [(other.id, "ascending")]
    assert other.table.sort_by(key).equals(world.plan().table.sort_by(key))


def test_plan_orders_by_hash_of_the_key_and_mixes_methods(world: made.World) -> None:
    table = world.plan().table
    ids = table.column("sample_id").to_pylist()
    assert table.column("order").to_pylist() == [keys.hash64(keys.encode_id(i)) for i in ids]
    assert set(table.column("group").to_pylist()) == {
        f"{folder}/{dataset}"
        for folder, datasets in {
            "train": ("ffpp", "wild"),
            "val": ("ffpp", "wild"),
            "expanded": ("ffpp",),
        }.items()
        for dataset in datasets
    }


def test_empty_tables_give_an_empty_plan(world: made.World) -> None:
    names = ("samples", "expanded", "landmarks")
    empty = {name: schemas.schema(name).empty_table() for name in names}
    plan = replace(world, tables=world.tables | empty).plan()
    assert plan.table.num_rows == 0
    assert plan.table.schema.equals(world.plan().table.schema)


def test_tables_that_do_not_belong_together_are_refused(world: made.World) -> None:
    broken = replace(world, tables=world.tables | {"faces": world.tables["faces"].slice(1)})
    with pytest.raises(UserError, match=r"ffpp/real/.* Run `dvc repro`"):
        list(broken.plan().batches())
    plan = world.plan
    videos = world.tables["videos"]
    renamed = videos.set_column(1, "dataset", pa.array(["other"] * videos.num_rows))
    world = replace(world, tables=world.tables | {"videos": renamed})
    with pytest.raises(UserError, match="Dataset other"):
        list(world.plan().batches())
    assert plan().table.num_rows


def test_a_store_without_the_bytes_is_a_users_mistake(world: made.World, tmp_path: Path) -> None:
    plan = world.plan()
    row = plan.table.slice(0, 1).to_pylist()[0]
    task = PackTask(JpegParams())
    with pytest.raises(UserError, match=r"gone\.tar is not there\. The stage faces"):
        task.work(row | {"tar": str(tmp_path / "gone.tar")})
    with pytest.raises(UserError, match=r"Run `dvc repro`: the stage faces"):
        task.work(row | {"offset": row["offset"] - 1})


def test_json_is_canonical_and_finite() -> None:
    assert describe.json_texts({"b": [1.0], "a": ["ü"]}) == ['{"a":"ü","b":1.0}']
    with pytest.raises(ValueError, match="not JSON compliant"):
        describe.json_texts({"a": [float("nan")]})


def test_absent_rows_fit_the_table() -> None:
    places = {c.name for c in schemas.TABLES["index_expanded"]} - set(fields.absent())
    assert places == {
        *("sample_id", "key", "tar", "offset", "size"),
        *("jpg_offset", "jpg_size", "json_offset", "json_size"),
    }
