import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from faceshards import images, tar
from faceshards.verify import SHOWN_PER_PART, verify_folder
from pipeline import tables
from tests.shards import made

TAR = "ffpp-00000.tar"
Members = list[tuple[str, bytes]]


@pytest.fixture
def folder(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards / "expanded", tmp_path / "expanded"))


@pytest.mark.parametrize("name", ["train", "val", "test", "expanded"])
def test_good_folders_have_no_problem(shards: Path, name: str) -> None:
    assert verify_folder(shards / name) == []


def test_a_flipped_bit_is_found(folder: Path) -> None:
    data = bytearray((folder / TAR).read_bytes())
    data[3000] ^= 1  # inside the first picture: only the digest can tell
    (folder / TAR).write_bytes(data)
    assert verify_folder(folder) == [f"{TAR}: its sha256 is not the one in shards.json"]


def test_truncated_missing_and_extra_tars_are_found(folder: Path) -> None:
    data = (folder / TAR).read_bytes()
    (folder / "extra-00000.tar").write_bytes(data)
    (folder / TAR).write_bytes(data[:-600])
    problems = verify_folder(folder)
    assert "extra-00000.tar: not named by shards.json" in problems
    assert any("bytes, shards.json says" in p for p in problems)
    assert any("truncated" in p for p in problems)
    (folder / TAR).unlink()
    assert f"{TAR}: missing" in verify_folder(folder)


def rewrite(folder: Path, change: Callable[[Members], Members]) -> list[str]:
    """Problems after a tar's members changed, with size and digest in shards.json made to fit."""
    path = folder / TAR
    members = [(m.name, tar.read(path, m.offset, m.size)) for m in tar.walk(path)]
    with path.open("wb") as file:
        for name, data in change(members):
            tar.append(file, name, data)
        tar.finish(file)
    about = json.loads((folder / "shards.json").read_text())
    about["bytes"] += path.stat().st_size - about["tars"][TAR]["bytes"]
    about["tars"][TAR]["bytes"] = path.stat().st_size
    about["tars"][TAR]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "shards.json").write_text(json.dumps(about))
    return verify_folder(folder)


def with_json(**changes: Any) -> Callable[[Members], Members]:
    """Changes the first json; a value of None takes the key out."""

    def change(members: Members) -> Members:
        name, data = members[1]
        about = json.loads(data) | changes
        about = {key: value for key, value in about.items() if value is not None}
        return [members[0], (name, _text(about)), *members[2:]]

    return change


def _text(about: dict[str, Any]) -> bytes:
    return json.dumps(about, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"label": 2}, "label is 2, neither 0 nor 1"),
        ({"label": 0}, "label is 0 (real), but the vector"),
        ({"label": True}, "label is True, which is not of type int"),
        ({"vector": [1, 0]}, "does not have the 10 nodes of graph ffpp"),
        ({"vector": [2] * 10}, "holds other values than 1, 0 and -1"),
        ({"graph": "odd"}, "graph 'odd' is not in shards.json"),
        ({"graph": "ffsc"}, "does not have the 12 nodes of graph ffsc"),
        ({"split": "val"}, "split is 'val' in a folder of train"),
        ({"category": "odd"}, "category 'odd' is not known"),
        ({"category": []}, "category is [], which is not of type str"),
        ({"region": None}, "json keys missing or unknown: region"),
        ({"new": 1}, "json keys missing or unknown: new"),
        ({"time_s": 1}, "time_s is 1, which is not of type float"),
        ({"box": [1.0]}, "box has 1 value instead of 4"),
        ({"landmarks": [1] * 136}, "landmarks is not a list of floats"),
        ({"method": "swap_lip"}, "method is 'swap_lip' in its json, 'swap_"),
    ],
)
def test_every_rule_of_the_json_is_checked(
    folder: Path, changes: dict[str, Any], problem: str
) -> None:
    problems = rewrite(folder, with_json(**changes))
    assert any(problem in p for p in problems), problems


def test_members_must_be_uniform(folder: Path) -> None:
    problems = rewrite(folder, lambda members: members[:2] + members[3:])
    assert any("members are jpg, json, not jpg, json, mask.png" in p for p in problems)


def test_pictures_must_be_of_one_size_and_of_their_format(folder: Path) -> None:
    small = images.encode_jpeg(made.picture(1)[:100], 95, "4:4:4")
    problems = rewrite(folder, lambda m: [*m[:3], (m[3][0], small), *m[4:]])
    assert any("jpg: (224, 100) px, other images have (224, 224)" in p for p in problems)
    png = images.encode_png(made.picture(1))
    problems = rewrite(folder, lambda m: [*m[:3], (m[3][0], png), *m[4:]])
    assert any("jpg: of another format" in p for p in problems)
    problems = rewrite(folder, lambda m: [*m[:3], (m[3][0], b"no picture"), *m[4:]])
    assert any("jpg: neither PNG, JPEG" in p for p in problems)


def test_lost_foreign_and_repeated_samples_are_found(folder: Path) -> None:
    again = rewrite(folder, lambda members: [*members, *members[:3]])
    assert any("not in the index, or twice in the tar" in p for p in again)
    assert any("samples are" in p for p in again)
    lost = rewrite(folder, lambda members: members[3:6])
    assert any("is in the index, but not in the tar" in p for p in lost)


def test_many_problems_of_one_tar_are_cut_short(folder: Path) -> None:
    index = tables.read(folder / "index.parquet", "index_expanded")
    at = index.schema.get_field_index("jpg_offset")
    wrong = pa.array(range(index.num_rows), pa.int64())
    broken = index.set_column(at, index.schema.field(at), wrong)
    broken = broken.set_column(3, index.schema.field(3), wrong)
    tables.write(folder / "index.parquet", "index_expanded", broken)
    problems = verify_folder(folder)
    per_tar = [p for p in problems if p.startswith(f"{TAR}:")]
    assert len(per_tar) == SHOWN_PER_PART + 1
    assert per_tar[-1].endswith("and more like these")


def test_counts_of_shards_json_are_checked(folder: Path) -> None:
    about = json.loads((folder / "shards.json").read_text())
    about["samples"] += 1
    about["tars"][TAR]["labels"] = {"fake": 0, "real": 1}
    (folder / "shards.json").write_text(json.dumps(about))
    problems = verify_folder(folder)
    assert any(p.startswith("shards.json: samples is") for p in problems)
    assert any(p.startswith("shards.json: labels is") for p in problems)
    assert any(p.startswith(f"{TAR}: labels are") for p in problems)


def test_what_is_no_shard_folder_is_one_problem(tmp_path: Path) -> None:
    (problem,) = verify_folder(tmp_path)
    assert "is not a shard folder" in problem
