import json
import shutil
from pathlib import Path

import pytest

from faceshards import tar
from faceshards.reading import MAX_SAMPLE_JSON_BYTES, Shards, group, parse_json
from pipeline.errors import UserError


def test_by_index_and_by_walking_are_the_same(shards: Path) -> None:
    for folder in ("train", "expanded", "test"):
        opened = Shards(shards / folder)
        by_index = list(opened.samples())
        walked = [sample for name in sorted(opened.tars) for sample in opened.walk(name)]
        assert by_index == walked
        assert len(by_index) == len(opened)
    assert [s.key for s in Shards(shards / "train").samples([3, 0])] == [
        Shards(shards / "train").index.column("key")[place].as_py() for place in (3, 0)
    ]


def test_a_sample_holds_its_members(shards: Path) -> None:
    sample = next(Shards(shards / "expanded").samples())
    assert set(sample.members) == {"jpg", "mask.png"}
    assert sample.jpg[:2] == b"\xff\xd8"
    assert sample.about["category"] == "local"
    assert "\\xff" not in repr(sample)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a":NaN}', "NaN"),
        ('{"a":-Infinity}', "Infinity"),
        ('{"a":1e999}', "infinite"),
        ('{"a":1,"a":2}', "repeats a key"),
        ('{"a":{"b":1,"b":1}}', "repeats a key"),
        ("[" * 20_000 + "]" * 20_000, "deep"),
        ('{"a":' + "[" * 9 + "]" * 9 + "}", "deep"),
        ("[1]", "not an object"),
        ("{", "Expecting"),
        ('{"a":"' + "x" * MAX_SAMPLE_JSON_BYTES + '"}', "at most"),
    ],
)
def test_json_is_not_trusted(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_json(text.encode())


def test_json_must_be_utf8() -> None:
    with pytest.raises(ValueError, match="decode"):
        parse_json(b'{"a":"\xff"}')
    assert parse_json('{"a":[["é"]],"b":{"c":1.5}}'.encode()) == {"a": [["é"]], "b": {"c": 1.5}}


@pytest.mark.parametrize(
    "name", ["../train/ffpp-00000.tar", "/etc/passwd.tar", "pipe:touch x #.tar", "a/b.tar", ".tar"]
)
def test_tar_names_stay_in_the_folder(shards: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(shards / "val", tmp_path / "val"))
    about = json.loads((folder / "shards.json").read_text())
    about["tars"][name] = about["tars"].pop("ffpp-00000.tar")
    (folder / "shards.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="not the plain name of a tar"):
        Shards(folder)


def test_an_index_of_other_tars_is_refused(shards: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shards / "val", tmp_path / "val"))
    about = json.loads((folder / "shards.json").read_text())
    about["tars"].pop("ffpp-00000.tar")
    (folder / "shards.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"names 'ffpp-00000\.tar', shards\.json does not"):
        Shards(folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": 2}, "format is 2"),
        ({"name": "../x"}, "name is"),
        ({"tars": []}, "missing"),
        ({"tars": {"a.tar": {"samples": "1"}}}, "facts of a.tar"),
        ({"graphs": {"g": {}}}, "graph g has no nodes"),
    ],
)
def test_shards_json_is_not_trusted(
    shards: Path, tmp_path: Path, change: dict, problem: str
) -> None:
    folder = Path(shutil.copytree(shards / "val", tmp_path / "val"))
    about = json.loads((folder / "shards.json").read_text()) | change
    (folder / "shards.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=problem):
        Shards(folder)


def test_a_folder_without_shards_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a shard folder: it has no shards\.json"):
        Shards(tmp_path)


def test_grouping_follows_the_first_dot() -> None:
    def grouped(*names: str) -> list[tuple[str, list[str]]]:
        members = iter([tar.TarMember(name, 512, 1) for name in names])
        return [(key, list(found)) for key, found in group(members)]

    names = ("a.b/c.jpg", "a.b/c.mask.png", "a.b/d.jpg")
    assert grouped(*names) == [("a.b/c", ["jpg", "mask.png"]), ("a.b/d", ["jpg"])]
    assert grouped() == []
    for bad in (("a",), ("a/.jpg",), ("a.",), ("a.jpg", "a.jpg")):
        with pytest.raises(ValueError, match="member"):
            grouped(*bad)
