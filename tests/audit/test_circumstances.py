"""Columns of the shortcut probe, read from made shards, and its words."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from faceshards import images
from pipeline import tables
from pipeline.audit import circumstances, shortcuts
from pipeline.audit.shortcuts import Answer, Shortcut
from pipeline.commands.main import main
from pipeline.errors import UserError
from tests.shards import made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    world = made.world(root / "stores")
    made.shard(world, root / "data/shards")
    for name in ("videos", "faces"):
        tables.write(root / f"manifests/{name}.parquet", name, world.tables[name])
    films = world.tables["frames"].to_pylist()
    rows = [film | {"codec": "h264" if "/real/" in film["video_id"] else "vp9"} for film in films]
    tables.write(root / "manifests/frames.parquet", "frames", tables.from_rows("frames", rows))
    return root


def test_columns_are_those_of_the_tables(project: Path) -> None:
    (rows,) = [
        r for d, r in circumstances._datasets(project / "data/shards", "train") if d == "ffpp"
    ]
    columns = circumstances._columns(rows, project)
    assert set(circumstances.OF_PICTURE) < set(columns)
    assert all(values.shape == (rows.num_rows,) for values in columns.values())
    labels = rows["label"].to_numpy()
    assert sorted(zip(labels.tolist(), columns["codec"].tolist(), strict=True))[0] == (0, 0)
    assert np.array_equal(columns["codec"], labels)
    assert set(columns["frame width"]) == {640}
    assert set(columns["bit rate"]) == {4.0}  # one byte in two seconds
    assert columns["box across"][0] == pytest.approx(60.03125 / 640)
    assert np.array_equal(columns["jpeg bytes"], rows["jpg_size"].to_numpy())
    assert len(set(columns["jpeg quantisation"])) == 1


def test_reals_of_train_stand_beside_expanded_samples(project: Path) -> None:
    ((dataset, rows),) = circumstances._datasets(project / "data/shards", "expanded")
    assert dataset == "ffpp"
    folders = dict(zip(rows["folder"].to_pylist(), rows["label"].to_pylist(), strict=True))
    assert folders == {"train": 0, "expanded": 1}
    assert circumstances._columns(rows, project)["jpeg quantisation"].min() > 0


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_coarser_jpegs_have_greater_tables(subsampling: Any) -> None:
    image = made.picture(1)
    sums = [
        circumstances._table_sum(images.encode_jpeg(image, quality, subsampling)[:2048])
        for quality in (95, 90, 50)
    ]
    assert 0 < sums[0] < sums[1] < sums[2]
    data = images.encode_jpeg(image, 90, subsampling)
    as_pillow_reads_them = PIL.Image.open(io.BytesIO(data)).quantization.values()
    assert circumstances._table_sum(data) == sum(map(sum, as_pillow_reads_them))


def test_the_command(project: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(project)
    monkeypatch.setattr(shortcuts, "FEWEST_GROUPS", 2)
    monkeypatch.setattr(shortcuts, "_TREES", 3)
    monkeypatch.setattr(shortcuts, "_LEAF", 1)
    (project / "metrics/evaluate").mkdir(parents=True)
    scores = '{"train": {"ffpp": {"video_auc": 0.75}}, "meaningless": true}'
    (project / "metrics/evaluate/mine.json").write_text(scores)
    assert main(["audit", "--shortcuts"]) == 0
    out = capsys.readouterr().out
    for words in (
        "ffpp, reals against fakes of train",
        "ffpp, reals against expanded samples",
        "codec 1.000",
        "run mine: video AUC 0.750",
    ):
        assert words in out


def test_words_say_where_labels_can_be_told() -> None:
    strong, weak = Answer(0.9, (0.4, 0.6)), Answer(0.55)

    def said(whole: Answer | None, apart: Answer | None) -> str:
        one = Shortcut("d", "train", 10, 5, whole, apart, (("codec", 0.9),))
        return circumstances.text([one], Path("nowhere"))

    assert "told without a look at the picture in d (train)" in said(strong, strong)
    assert "What tells in d (train) depends on the picture" in said(strong, weak)
    assert "Nothing besides the face" in said(weak, weak)
    assert "too few to say anything" in said(None, None)
    assert "nothing to tell apart" in circumstances.text([], Path("nowhere"))


def test_tables_that_do_not_belong_together_are_a_users_mistake(project: Path, tmp_path) -> None:
    for folder in ("data", "manifests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "data/shards").symlink_to(project / "data/shards")
    for name in ("videos", "frames"):
        (tmp_path / f"manifests/{name}.parquet").symlink_to(project / f"manifests/{name}.parquet")
    tables.write(tmp_path / "manifests/faces.parquet", "faces", tables.from_rows("faces", []))
    with pytest.raises(UserError, match=r"is in the shards and not in .*faces\.parquet"):
        circumstances.look(tmp_path)
