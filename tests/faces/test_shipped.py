import numpy as np
import pytest

from pipeline.config.params import FacesParams
from pipeline.errors import Reject, UserError
from pipeline.faces.shipped import POINT_COLUMNS, ShippedFaces, digest, place

PARAMS = FacesParams(detector="precomputed", score_threshold=0.5)


@pytest.fixture
def frames(tmp_path):
    """A folder of images, named so that 10 comes after 9."""
    folder = tmp_path / "ff" / "frames" / "001_870"
    folder.mkdir(parents=True)
    for name in ("9.png", "10.png", "11.png"):
        (folder / name).write_bytes(b"picture")
    (tmp_path / "ff/landmarks/001_870").mkdir(parents=True)
    return folder


def test_faces_lie_beside_the_videos(tmp_path):
    assert str(place(tmp_path / "a/videos/b/c.mp4")) == str(tmp_path / "a/landmarks/b/c")
    assert str(place(tmp_path / "videos/frames/c.d.mp4")) == str(tmp_path / "videos/landmarks/c.d")
    with pytest.raises(UserError, match="lies in no folder named frames or videos"):
        place(tmp_path / "a/frames.mp4")


def test_points_of_81_give_a_box_and_five_points(frames):
    points = np.random.Generator(np.random.Philox(0)).uniform(20, 200, (81, 2)).astype(np.float32)
    np.save(frames.parents[1] / "landmarks/001_870/10.npy", points)
    shipped = ShippedFaces(frames, PARAMS)
    (face,) = shipped.at(1.0, 1)
    box = [points[:, 0].min(), points[:, 1].min(), points[:, 0].max(), points[:, 1].max()]
    np.testing.assert_allclose(face.box, box, atol=1 / 32)
    five = [points[36:42].mean(axis=0), points[42:48].mean(axis=0), points[30]]
    five += [points[48], points[54]]
    np.testing.assert_allclose(face.landmarks5, np.ravel(five), atol=1 / 32)
    assert face.score == -1
    assert shipped.at(0.0, 0) == []  # nothing is shipped for it


def test_five_points_stay_as_they_are(frames):
    five = np.array([[30, 40], [60, 40], [45, 55], [35, 70], [55, 70.5]])
    np.save(frames.parents[1] / "landmarks/001_870/9.npy", five)
    (face,) = ShippedFaces(frames, PARAMS).at(0.0, 0)
    assert face.landmarks5 == tuple(five.ravel())
    assert ShippedFaces(frames, FacesParams(detector="precomputed", min_face_px=31)).at(0, 0) == []


def test_points_that_are_all_zero_are_no_face(frames):
    np.save(frames.parents[1] / "landmarks/001_870/9.npy", np.zeros((81, 2), np.uint32))
    assert ShippedFaces(frames, PARAMS).at(0.0, 0) == []


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((68, 3)),
        np.full((68, 2), np.nan),
        np.array([{"a": 1}], dtype=object),  # would be unpickled
        b"not an array",
    ],
)
def test_arrays_of_another_form_are_unreadable(frames, data):
    path = frames.parents[1] / "landmarks/001_870/9.npy"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        np.save(path, data, allow_pickle=True)
    with pytest.raises(Reject, match=r"unreadable: 9\.npy"):
        ShippedFaces(frames, PARAMS).at(0.0, 0)


@pytest.fixture
def table(tmp_path):
    """Writes the table of a video and opens it."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "landmarks").mkdir()

    def write(text: str, params: FacesParams = PARAMS) -> ShippedFaces:
        (tmp_path / "landmarks/a.csv").write_text(text)
        return ShippedFaces(tmp_path / "videos/a.mp4", params)

    return write


def test_a_table_holds_until_the_next_listed_time(table):
    shipped = table(
        "time_s,x1,y1,x2,y2,score\n"
        "1.0,10,10,20,20,0.9\n1.0,30,30,60,60,\n1.0,1,1,9,9,0.4\n1.2,,,,,\n1.4,5,5,8,9,0.95\n"
    )
    assert shipped.at(0.9, 0) == []
    found = shipped.at(1.1, 0)
    assert [(f.box, f.score) for f in found] == [((30, 30, 60, 60), -1), ((10, 10, 20, 20), 0.9)]
    assert shipped.at(1.3, 0) == []
    assert [f.box for f in shipped.at(1.9, 0)] == [(5, 5, 8, 9)]
    assert shipped.at(1.91, 0) == []


def test_a_table_may_hold_points(table):
    head = ",".join(("time_s", "x1", "y1", "x2", "y2", *POINT_COLUMNS))
    shipped = table(f"{head}\n0,0,0,9,9,1,2,3,4,5,6,7,8,9,10\n0,0,0,8,8,,,,,,,,,,\n")
    assert [f.landmarks5 for f in shipped.at(0, 0)] == [tuple(range(1, 11)), ()]


@pytest.mark.parametrize(
    "text",
    [
        "x1,y1,x2,y2\n1,2,3,4\n",
        "time_s,x1,y1,x2,y2\nsoon,1,2,3,4\n",
        "time_s,x1,y1,x2,y2\n0,1,2,nan,4\n",
        "time_s,x1,y1,x2,y2\n0,5,2,3,4\n",
        "time_s,x1,y1,x2,y2\n0,1,2\n",
        "time_s,x1,y1,x2,y2,nose_x\n0,1,2,3,4,5\n",
    ],
)
def test_a_table_of_another_form_is_unreadable(table, text):
    with pytest.raises(Reject, match="unreadable: its table of faces is of another form"):
        table(text)


def test_five_points_in_one_place_are_no_face(table):
    head = ",".join(("time_s", "x1", "y1", "x2", "y2", *POINT_COLUMNS))
    with pytest.raises(Reject, match="its five points in one place"):
        table(f"{head}\n0,0,0,9,9{',4' * 10}\n")


def test_the_digest_follows_what_is_shipped(tmp_path, frames):
    seen = [digest(frames)]
    folder = frames.parents[1] / "landmarks/001_870"
    np.save(folder / "9.npy", np.zeros((81, 2)))
    seen.append(digest(frames))
    np.save(folder / "9.npy", np.ones((81, 2)))  # of the same size
    seen.append(digest(frames))
    (folder / "9.npy").rename(folder / "10.npy")
    seen.append(digest(frames))
    (folder.parent / "001_870.csv").write_text("time_s,x1,y1,x2,y2\n")
    seen.append(digest(frames))
    assert seen[0] == ""
    assert len(set(seen)) == len(seen)
