import io
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.errors import Reject
from pipeline.video import parquet_rows
from pipeline.video.parquet_rows import read_row, row_name
from pipeline.video.reader import open_reader
from pipeline.video.stills import probe_stills
from tests.datasets.image_files import put_parquet, put_tar


def reason(call, *args):
    with pytest.raises(Reject) as caught:
        call(*args)
    return caught.value.reason


def jpeg(seed, size=(40, 30)):
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=90)
    return data.getvalue()


@given(order=st.permutations(range(23)))
def test_rows_in_any_order(order, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    file = folder / "order.parquet"
    images = [bytes([n]) * (n + 1) for n in range(23)]
    if not file.exists():
        put_parquet(file, images, group_rows=10)
    for n in order:
        assert read_row(file, row_name("image", n // 10, n % 10)) == images[n]


def test_rows_in_order_read_each_batch_once(tmp_path, monkeypatch):
    file = put_parquet(tmp_path / "a.parquet", [b"x"] * 100)
    opened = []
    real = pq.ParquetFile
    monkeypatch.setattr(
        parquet_rows.pq, "ParquetFile", lambda *a, **k: opened.append(1) or real(*a, **k)
    )
    for n in range(0, 100, 7):
        read_row(file, row_name("image", 0, n))
    assert len(opened) == 1


def test_a_parquet_file_that_changed_is_read_anew(tmp_path):
    file = put_parquet(tmp_path / "a.parquet", [b"old"])
    assert read_row(file, row_name("image", 0, 0)) == b"old"
    put_parquet(file, [b"new"])
    os.utime(file, ns=(1, 1))
    assert read_row(file, row_name("image", 0, 0)) == b"new"


def test_rows_that_are_not_there(tmp_path):
    file = put_parquet(tmp_path / "a.parquet", [b"x", None, b""])
    assert reason(read_row, file, row_name("image", 0, 3)) == "missing"
    assert reason(read_row, file, row_name("image", 1, 0)) == "missing"
    assert reason(read_row, file, row_name("picture", 0, 0)) == "missing"
    assert reason(read_row, file, row_name("image", 0, 1)) == "empty"


def test_columns_of_bytes(tmp_path):
    pq.write_table(pa.table({"a/b": pa.array([b"x"], pa.large_binary())}), tmp_path / "a.parquet")
    assert read_row(tmp_path / "a.parquet", row_name("a/b", 0, 0)) == b"x"


def test_a_damaged_row_group_is_a_reject(tmp_path):
    file = put_parquet(tmp_path / "a.parquet", [os.urandom(3000) for _ in range(40)], group_rows=20)
    data = bytearray(file.read_bytes())
    start = pq.ParquetFile(file).metadata.row_group(1).column(0).data_page_offset
    data[start : start + 8] = b"\xff" * 8
    file.write_bytes(data)
    assert read_row(file, row_name("image", 0, 19))
    assert reason(read_row, file, row_name("image", 1, 0)) == "unreadable"
    assert reason(read_row, file, row_name("image", 1, 0)) == "unreadable"


@pytest.mark.parametrize("media", ["tar_image", "parquet"])
def test_images_are_read_as_alone(tmp_path, media):
    images = [jpeg(n) for n in range(5)]
    if media == "parquet":
        file = put_parquet(tmp_path / "a!b.parquet", images, group_rows=2)
        places = [f"{file}!{row_name('image', n // 2, n % 2)}" for n in range(5)]
    else:
        file = put_tar(tmp_path / "a!b.tar", {f"x/{n}.jpg": p for n, p in enumerate(images)})
        places = [f"{file}!x/{n}.jpg" for n in range(5)]
    for place, image in zip(places, images, strict=True):
        alone = tmp_path / "alone.jpg"
        alone.write_bytes(image)
        facts = probe_stills(media, place, 1000)
        assert (facts.container, facts.codec, facts.frame_count) == (media, "jpeg", 1)
        with (
            open_reader(media, place, 1000) as reader,
            open_reader("image", str(alone), 1000) as one,
        ):
            [found], [wanted] = reader.frames_at([0.0]), one.frames_at([0.0])
        assert (found.image == wanted.image).all()


def test_a_damaged_image_in_a_row(tmp_path):
    whole = jpeg(1)
    file = put_parquet(tmp_path / "a.parquet", [whole[: len(whole) // 2], b"no picture"])
    with open_reader("parquet", f"{file}!{row_name('image', 0, 0)}", 1000) as reader:
        assert reason(list, reader.frames_at([0.0])) == "decode_error"
    assert reason(probe_stills, "parquet", f"{file}!{row_name('image', 0, 1)}", 1000) == "not_media"


def test_rows_of_a_row_group_are_neighbours_and_nothing_else_is():
    paths = ["a.mp4", "a.parquet!image/00001/000009", "a.parquet!image/00001/000010"]
    paths += ["a.parquet!image/00002/000000", "b.tar!x.jpg"]
    media = ["video", "parquet", "parquet", "parquet", "tar_image"]
    ids = [f"ds/m{n % 2}/{path}" for n, path in enumerate(paths)]
    videos = pa.table(
        {"video_id": ids, "media": media, "dataset": ["ds"] * 5, "path": paths},
    )
    together, order = parquet_rows.neighbours(videos)
    assert together[0] == order[0] == ids[0]
    assert together[4] == order[4] == ids[4]
    assert together[1] == together[2] != together[3]
    assert order[1] < order[2] < order[3]
