import base64
import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceshards import keys
from pipeline import tables
from pipeline.errors import UserError
from pipeline.report import pictures
from pipeline.tables import schemas
from tests.shards.made import World


def decoded(uri: str) -> np.ndarray:
    """RGB of a data URI by another library than the one that made it."""
    data = base64.b64decode(uri.partition(",")[2], validate=True)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"), np.int16)


def in_shards(root: Path, folder: str, sample: str, extension: str) -> np.ndarray:
    """A picture out of a tar by its name, shrunk by another library."""
    name = f"{keys.encode_id(sample)}.{extension}"
    for path in (root / "data/shards" / folder).glob("*.tar"):
        with tarfile.open(path) as tar:
            if name in tar.getnames():
                side = (pictures.SIDE_PX, pictures.SIDE_PX)
                with Image.open(io.BytesIO(tar.extractfile(name).read())) as image:  # type: ignore[union-attr]
                    small = image.convert("RGB").resize(side, Image.Resampling.BOX)
                    return np.asarray(small, np.int16)
    raise AssertionError(name)


def close(first: np.ndarray, second: np.ndarray) -> bool:
    """JPEG at this quality changes smooth pictures by less than this."""
    return bool(np.abs(first - second).mean() < 4)


def test_crops_are_the_faces_they_say(root: Path) -> None:
    sheets = pictures.contact_sheets(root / "data/shards", 8)
    assert [sheet.dataset for sheet in sheets] == ["ffpp", "wild"]
    assert all(len(sheet.crops) == 8 and sheet.of == 16 for sheet in sheets)
    crops = [crop for sheet in sheets for crop in sheet.crops]
    for crop in crops:
        assert close(decoded(crop.uri), in_shards(root, crop.split, crop.face_id, "jpg"))
    assert not close(decoded(crops[0].uri), decoded(crops[1].uri))


def test_methods_take_turns_and_reals_come_first(root: Path) -> None:
    for n, reals in ((1, 1), (5, 3), (8, 4), (100, 8)):
        sheet = pictures.contact_sheets(root / "data/shards", n)[0]
        assert [crop.label for crop in sheet.crops] == [0] * reals + [1] * (min(n, 16) - reals)
        assert all((crop.method == "real") == (crop.label == 0) for crop in sheet.crops)


def test_fewer_are_the_same_ones(root: Path) -> None:
    few, many = (pictures.contact_sheets(root / "data/shards", n)[1].crops for n in (4, 16))
    assert set(few) < set(many)
    assert pictures.contact_sheets(root / "data/shards", 4)[1].crops == few


def test_the_number_of_faces_has_a_bound(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_FACES", 6)
    monkeypatch.setattr(pictures, "MAX_SWAPS", 2)
    sheets = pictures.contact_sheets(root / "data/shards", 200)
    assert [len(sheet.crops) for sheet in sheets] == [3, 3]
    regions = pictures.regions(root / "data/shards", 50)
    assert [len(region.swaps) for region in regions] == [1, 1]
    monkeypatch.setattr(pictures, "MAX_SWAPS", 1)
    regions = pictures.regions(root / "data/shards", 50)
    assert [(region.swaps, region.of) for region in regions] == [((), 4), ((), 4)]


def test_strips_show_target_source_mask_and_result(made: tuple[Path, World]) -> None:
    root, world = made
    regions = pictures.regions(root / "data/shards", 2)
    assert [(r.region, r.method, len(r.swaps), r.of) for r in regions] == [
        ("eye", "swap_eye", 2, 4),
        ("nose", "swap_nose", 2, 4),
    ]
    rows = {row["sample_id"]: row for row in world.tables["expanded"].to_pylist()}
    for swap in (swap for region in regions for swap in region.swaps):
        row = rows[swap.sample_id]
        for uri, folder, sample, extension in (
            (swap.target, "train", row["target_face_id"], "jpg"),
            (swap.source, "train", row["source_face_id"], "jpg"),
            (swap.mask, "expanded", swap.sample_id, "mask.png"),
            (swap.result, "expanded", swap.sample_id, "jpg"),
        ):
            assert close(decoded(uri), in_shards(root, folder, sample, extension))


def test_labels_in_words_are_the_papers(root: Path) -> None:
    """SJEDD, Table I, rows Eye and Nose."""
    eye, nose = pictures.regions(root / "data/shards", 1)
    assert eye.labels["altered"] == ["face", "physical inconsistency", "eye"]
    assert eye.labels["unobserved"] == ["expression"]
    assert nose.labels["altered"] == ["face", "physical inconsistency", "nose"]
    assert nose.labels["unobserved"] == []
    for labels in (eye.labels, nose.labels):
        assert sum(map(len, labels.values())) == 10


def test_a_face_that_the_shards_lack_is_a_gap(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "data/shards", tmp_path / "shards")
    empty = schemas.schema("index").empty_table()
    tables.write(tmp_path / "shards/train/index.parquet", "index", empty)
    (swap, *_) = pictures.regions(tmp_path / "shards", 1)[0].swaps
    assert (swap.target, swap.source) == ("", "")
    assert swap.result


def test_damaged_tars_are_told(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "data/shards", tmp_path / "shards")
    for path in (tmp_path / "shards/expanded").glob("*.tar"):
        path.write_bytes(path.read_bytes()[:512])
    with pytest.raises(UserError, match=r"swap_eye.* cannot be read .*verify"):
        pictures.regions(tmp_path / "shards", 1)
    for path in (tmp_path / "shards/train").glob("*.tar"):
        path.unlink()
    with pytest.raises(UserError, match=r"cannot be read from .*train"):
        pictures.contact_sheets(tmp_path / "shards", 20)
