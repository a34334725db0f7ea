"""Two sets of shards compared: made differences are found, each as what it is."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from faceshards import differences, images
from faceshards.errors import UserError
from tests.faceshards import drafts


def test_the_same_folders_have_none(shards: Path) -> None:
    found = differences.differences(shards, shards)
    assert not any(found)
    assert sum(one.same for one in found) == 40


def test_every_kind(shards: Path, tmp_path: Path) -> None:
    draft = drafts.read(shards / "train")
    relabelled, reencoded, repainted, gone, scored = draft.samples[:5]
    relabelled.about["vector"] = [1 - value for value in relabelled.about["vector"]]
    picture = images.decode_rgb(reencoded.members["jpg"])
    reencoded.members["jpg"] += b"trailing"
    spot = images.decode_rgb(repainted.members["jpg"]).astype(int)
    other = images.encode_jpeg((255 - spot).astype(np.uint8), 95, "4:4:4")
    repainted.members["jpg"] = other
    scored.about["score"] = 0.125
    draft.samples.remove(gone)
    draft.write(tmp_path / "train")
    (found,) = differences.differences(shards / "train", tmp_path / "train")
    ids = [s.row["sample_id"] for s in (relabelled, reencoded, repainted, gone)]
    assert found.relabelled == ids[:1]
    assert found.reencoded == ids[1:2]
    assert found.repainted == ids[2:3]
    assert (found.only_first, found.only_second) == (ids[3:], [])
    assert found.changed_keys == {"vector": 1, "score": 1}
    decoded = cv2.imdecode(np.frombuffer(other, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert found.largest_step == np.abs(decoded.astype(int) - spot).max()
    assert found.same == len(draft.samples) - 4
    assert picture.shape == (224, 224, 3)
    text = differences.text([found])
    for words in ("only in the first", "another label or vector", "other pixels, by up to"):
        assert words in text
    back = differences.differences(tmp_path / "train", shards / "train")[0]
    assert (back.only_first, back.only_second) == ([], ids[3:])


def test_a_folder_that_one_side_lacks(shards: Path, tmp_path: Path) -> None:
    for name in ("train", "val"):
        drafts.read(shards / name).write(tmp_path / name)
    found = {one.name: one for one in differences.differences(shards, tmp_path)}
    assert not found["train"]
    assert found["expanded"].only_first
    with pytest.raises(UserError, match="nowhere does not exist"):
        differences.differences(shards, tmp_path / "nowhere")
