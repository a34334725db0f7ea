"""Counts and single samples, against a plain walk over the tars."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from faceshards import looking
from faceshards.errors import UserError
from faceshards.reading import Shards


def test_counts_are_those_of_the_tars(shards: Path) -> None:
    folders = [Shards(path) for path in looking.shard_folders(shards)]
    wanted: Counter[tuple[str, ...]] = Counter()
    videos: dict[tuple[str, ...], set[str]] = {}
    for path in shards.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    a = json.load(tar.extractfile(member))
                    label = ("real", "fake")[a["label"]]
                    key = (a["split"], a["dataset"], a["method"], label)
                    wanted[key] += 1
                    videos.setdefault(key, set()).add(a["video_id"])
    found = {row[:4]: row[4:] for row in looking.counts(folders)}
    assert found == {k: (str(n), str(len(videos[k]))) for k, n in wanted.items()}
    text = looking.text(folders)
    assert all(" ".join(key) in " ".join(text.split()) for key in wanted)


def test_one_sample(shards: Path) -> None:
    folders = [Shards(path) for path in looking.shard_folders(shards / "train")]
    wanted = next(folders[0].samples([3]))
    sample_id = folders[0].index.column("sample_id")[3].as_py()
    for name in (wanted.key, sample_id):
        opened, sample = looking.find_sample(folders, name)
        assert sample == wanted
        text = looking.sample_text(opened, sample)
        assert json.loads(text[text.index("{") :]) == wanted.about
    with pytest.raises(UserError, match="has the key or id 'nobody'"):
        looking.find_sample(folders, "nobody")


def test_no_shards_here(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no shard folder and holds none\. Give a folder"):
        looking.shard_folders(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"is a file, not a folder of shards\. Give a folder"):
        looking.shard_folders(tmp_path / "file")


@pytest.mark.parametrize("look", [looking.shard_folders, Shards])
def test_a_folder_that_does_not_exist_is_said_not_to(tmp_path: Path, look) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist\. Give .*dvc repro shard"):
        look(tmp_path / "nowhere")
