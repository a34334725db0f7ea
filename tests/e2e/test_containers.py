"""Pictures of real faces go through alike, whatever file they lie in."""

import pytest
import yaml

from pipeline.tables import read
from tests.datasets.image_files import put_parquet, put_tar
from tests.e2e.project import command, copy_project

PICTURES = ("obama_240p.jpg", "rot_0.jpg", "aflw_test.jpg", "rot_90.jpg")
DATASETS = {
    "a_csv": {"adapter": "csv", "manifest": "own.csv"},
    "a_folder": {"adapter": "imagefolder", "layout": "{label}"},
    "a_parquet": {"adapter": "parquet"},
    "a_tar": {"adapter": "tar", "layout": "*/{label}"},
}


@pytest.fixture(scope="module")
def project(assets, tmp_path_factory):
    """Four datasets of the same pictures, and one that is damaged in each."""
    project = copy_project(tmp_path_factory.mktemp("containers") / "project", git=False)
    data = [(assets / "images" / name).read_bytes() for name in PICTURES]
    data.append(data[0][: len(data[0]) // 2])
    names = [f"{('real', 'fake')[n % 2]}/{n}.jpg" for n in range(len(data))]
    lines = ["path,label"]
    for name, picture in zip(names, data, strict=True):
        for root in ("a_csv", "a_folder"):
            file = project / "raw" / root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(picture)
        lines.append(f"{name},{name[:4]}")
    (project / "raw/a_csv/own.csv").write_text("\n".join(lines))
    put_tar(project / "raw/a_tar/1.tar", dict(zip(names, data, strict=True)))
    labels = [name[:4] for name in names]
    put_parquet(project / "raw/a_parquet/1.parquet", data, group_rows=2, label=labels)
    entries = {name: about | {"root": f"raw/{name}"} for name, about in DATASETS.items()}
    (project / "manifests/datasets.yaml").write_text(yaml.safe_dump(entries))
    params = yaml.safe_load((project / "params.yaml").read_text())
    params |= {"runs": {}, "expand": params["expand"] | {"datasets": []}}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    for stage in ("scan", "frames", "faces"):
        command(project, "python", f"stages/{stage}.py")
    return project


def test_faces_are_the_same_bytes(project):
    videos = {
        r["video_id"]: r for r in read(project / "manifests/videos.parquet", "videos").to_pylist()
    }
    faces = read(project / "manifests/faces.parquet", "faces").to_pylist()
    found = {name: [] for name in DATASETS}
    for face in faces:
        video = videos[face["video_id"]]
        found[video["dataset"]].append((video["label"], face["rank"], face["digest"]))
    assert len(found["a_csv"]) >= 3
    assert all(sorted(one) == sorted(found["a_csv"]) for one in found.values())


def test_damaged_pictures_are_rejected_with_a_reason(project):
    rejects = read(project / "manifests/rejected/faces.parquet", "rejected").to_pylist()
    damaged = {r["id"].split("/")[0]: r["reason"] for r in rejects if r["reason"] != "no_face"}
    assert damaged.keys() == DATASETS.keys()
    assert len(set(damaged.values())) == 1


def test_nothing_is_unpacked(project):
    assert [path.name for path in (project / "raw/a_tar").iterdir()] == ["1.tar"]
    assert [path.name for path in (project / "raw/a_parquet").iterdir()] == ["1.parquet"]
