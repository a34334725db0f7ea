"""The stages on real clips: counts against stored ones, every odd file where it belongs."""

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from pipeline.expansion.regions import REGIONS
from tests.e2e.project import command, copy_project

STAGES = ["scan", "frames", "faces", "balance", "landmarks", "expand", "shard"]
MEASURED_S = 8
"""index.json holds the face counts of the first eight seconds."""
DETECTORS = {
    "scrfd": {
        "detector": "scrfd",
        "weights": "det_2.5g.onnx",
        "input_size_px": 640,
        "counts": "det_2.5g",
        "tolerance": 4,
    },
    "retinaface": {
        "detector": "retinaface",
        "backbone": "mobilenet0.25",
        "weights": "retinaface_mobilenet0.25.pth",
        "input_size_px": "full",
        "score_threshold": 0.8,
        "counts": "retina_mnet",
        "tolerance": 10,
    },
}
"""``tolerance``: pictures, of the 146 counted, on which our count may differ. SCRFD differs on two
pictures of a stream that starts late. Why RetinaFace differs on more is not known: no channel
order, mean or threshold that was tried gives the stored counts. The threshold is that of public
code for this network; the tolerance is what was found with it, rounded up."""
ODD = ["odd/lp_d20_truncated.mp4", "odd/lp_s18_rot90flag.mp4", "odd/not_a_video.mp4"]


def stored(assets: Path) -> dict[str, dict]:
    entries = json.loads((assets / "index.json").read_text())
    return {entry["file"].removeprefix("videos/"): entry for entry in entries}


def make_project(folder: Path, assets: Path, clips: list[str], **faces: object) -> Path:
    """A project whose only dataset is a CSV manifest over clips of the assets."""
    copy_project(folder, git=False)
    entries = stored(assets)
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "method", "identity"])
        for clip in clips:
            kind, name = clip.split("/")
            fake = kind == "fake"
            method = entries[clip]["method"].split()[0] if fake else ""
            split = "test" if kind == "odd" else "train"
            writer.writerow([clip, "fake" if fake else "real", split, method, name.split("_")[0]])
    yaml = YAML()
    dataset = {"adapter": "csv", "root": str(assets / "videos")}
    dataset["manifest"] = str(folder / "clips.csv")
    yaml.dump({"clips": dataset}, folder / "manifests/datasets.yaml")
    params = yaml.load(folder / "params.yaml")
    weights = entries_sha256(assets, str(faces.pop("weights")))
    params["faces"].update(faces, weights=weights, lossless=["clips"])
    params["expand"].update(datasets=["clips"], source_methods=["GHOST"], per_region=5)
    params["runs"] = {}  # no video is in val
    yaml.dump(params, folder / "params.yaml")
    return folder


def entries_sha256(assets: Path, name: str) -> dict[str, str]:
    lines = (assets / "INDEX.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith(f"| weights/{name} "))
    return {"path": str(assets / "weights" / name), "sha256": row.split("|")[3].strip()}


def run_stages(folder: Path, stages: list[str]) -> None:
    code = (
        "import importlib as i, sys\nfor s in sys.argv[1:]: i.import_module(f'stages.{s}').main()"
    )
    command(folder, sys.executable, "-c", code, *stages)


def rows(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"manifests/{name}.parquet").to_pylist()


@pytest.fixture(scope="module", params=list(DETECTORS))
def run(request, assets, tmp_path_factory):
    settings = dict(DETECTORS[request.param])
    counts, tolerance = settings.pop("counts"), settings.pop("tolerance")
    clips = [name for name in stored(assets) if name.startswith(("real/", "fake/", "odd/"))]
    folder = tmp_path_factory.mktemp(request.param)
    make_project(folder, assets, sorted(clips), **settings)
    run_stages(folder, STAGES)
    return folder, counts, tolerance


def test_face_counts_are_those_measured(run, assets):
    folder, name, tolerance = run
    found: dict[tuple[str, int], int] = {}
    for face in rows(folder, "faces"):
        at = (face["video_id"], face["sample"])
        found[at] = found.get(at, 0) + 1
    videos = {v["path"]: v["video_id"] for v in rows(folder, "videos")}
    pictures = wrong = 0
    for clip, entry in stored(assets).items():
        if clip.startswith("odd/") or clip not in videos:
            continue
        for second, count in enumerate(entry["faces"][name][:MEASURED_S]):
            pictures += 1
            wrong += found.get((videos[clip], second), 0) != count
    assert pictures == 146
    assert wrong <= tolerance, f"{wrong} of {pictures} pictures"


def test_every_stage_accounts_for_all_its_units(run):
    folder, *_ = run
    for stage in STAGES:
        m = json.loads((folder / f"metrics/{stage}.json").read_text())
        assert m["inputs"] == m["outputs"] + m["rejects"] + m["left_out"], stage
    planned = len(rows(folder, "frames"))
    assert json.loads((folder / "metrics/faces.json").read_text())["inputs"] == planned


def test_odd_files_end_where_they_should(run):
    folder, *_ = run
    refused = {r["id"]: r["reason"] for r in rows(folder, "rejected/frames")}
    assert refused == {"clips/real/odd/not_a_video": "not_media"}
    frames = {f["video_id"]: f for f in rows(folder, "frames")}
    assert frames["clips/real/odd/lp_s18_rot90flag"]["rotation_deg"] in (90, 270)
    reasons: dict[str, list[str]] = {}
    for reject in rows(folder, "rejected/faces"):
        video, _, sample = reject["id"].rpartition("/")
        reasons.setdefault(video, []).append(reject["reason"])
        assert sample.isdigit()
    assert set(reasons["clips/real/real/noface_bottles"]) == {"no_face"}
    assert len(reasons["clips/real/real/noface_bottles"]) == 40
    # 102 of 175 pictures at 25 a second are there: seconds 0 to 4 of 7.
    assert reasons["clips/real/odd/lp_d20_truncated"].count("truncated") == 2
    videos = {f["video_id"] for f in rows(folder, "faces")}
    assert "clips/real/odd/lp_d20_truncated" in videos
    assert "clips/real/real/noface_bottles" not in videos


def test_a_rotated_clip_is_seen_upright_or_not_at_all(run):
    """The flag turns the picture by 90 degrees: boxes lie in the turned frame, 720 x 1280."""
    folder, *_ = run
    for face in rows(folder, "faces"):
        if face["video_id"] == "clips/real/odd/lp_s18_rot90flag":
            assert face["box"][2] <= 720 + face["face_px"]
            assert face["box"][3] <= 1280 + face["face_px"]


def test_swaps_are_made_from_real_clips(run):
    folder, *_ = run
    expanded = rows(folder, "expanded")
    refused = pq.read_table(folder / "manifests/rejected/expand.parquet").column("id").to_pylist()
    planned = {e["method"] for e in expanded} | {name.split("/")[1] for name in refused}
    assert planned == {f"swap_{region}" for region in ("eye", "lip", "mouth", "nose")}
    assert len({e["region"] for e in expanded}) > 1
    assert {e["source_method"] for e in expanded} == {"GHOST"}
    folders = [f"data/shards/{name}" for name in ("train", "val", "test", "expanded")]
    command(folder, "faceshards", "verify", *folders)


CAST = ["fsgan_conan_1080p.mp4", "lp_d0_greenscreen.mp4", "lp_d13_phone_portrait.mp4"]
CAST += ["lp_d18.mp4", "lp_d20.mp4", "lp_s18_wide.mp4", "lp_s32_wide.mp4", "vr_face1_vfr.mp4"]
"""Clips of eight people, near and lit."""


def test_every_region_and_generator_on_people_of_real_clips(assets, tmp_path):
    settings = {"detector": "scrfd", "weights": "det_2.5g.onnx", "input_size_px": 640}
    make_project(tmp_path, assets, [f"real/{name}" for name in CAST], **settings)
    listed = (tmp_path / "clips.csv").read_text()
    (tmp_path / "clips.csv").write_text(listed.replace(",lp\n", ",\n"))  # lp is nobody's name
    text = (tmp_path / "clips.csv").read_text().splitlines()
    named = [f"{line}{place}" if line.endswith(",") else line for place, line in enumerate(text)]
    (tmp_path / "clips.csv").write_text("\n".join(named) + "\n")
    params = YAML().load(tmp_path / "params.yaml")
    params["frames"].update(fps=0.0, n_even=2)
    params["balance"]["train"] = "all"
    params["expand"].update(
        regions=list(REGIONS),
        generators=["swap", "xray"],
        source_methods=["real"],
        per_region=8,
    )
    YAML().dump(params, tmp_path / "params.yaml")
    run_stages(tmp_path, STAGES)
    expanded = rows(tmp_path, "expanded")
    made = {e["method"] for e in expanded}
    assert made == {*(f"swap_{region}" for region in REGIONS), "xray_face"}
    face_of = {f["face_id"]: f["video_id"] for f in rows(tmp_path, "faces")}
    people = {v["video_id"]: v["identity"] for v in rows(tmp_path, "videos")}
    pairs = [
        [people[face_of[e[f"{role}_face_id"]]] for role in ("target", "source")] for e in expanded
    ]
    assert all(target != source for target, source in pairs)
    assert len({target for target, _ in pairs}) >= 6
    metrics = json.loads((tmp_path / "metrics/expand.json").read_text())
    assert metrics["outputs"] == len(expanded) > metrics["rejects"]
    for method in ("swap_eye", "xray_face"):
        sample_id = next(e["sample_id"] for e in expanded if e["method"] == method)
        done = command(tmp_path, "faceshards", "explain-sample", sample_id)
        assert "have the same bytes" in done.stdout
    command(tmp_path, "faceshards", "verify", "data/shards/train", "data/shards/expanded")


def test_auto_finds_the_tight_head_crop(assets, tmp_path):
    """At 640 px SCRFD finds nothing in this clip; with a small size besides it does."""
    settings = {"detector": "scrfd", "weights": "det_2.5g.onnx"}
    clip = "fake/sadtalker_art0.mp4"
    make_project(tmp_path, assets, [clip], **settings, input_size_px="auto")
    params = YAML().load(tmp_path / "params.yaml")
    params["expand"]["datasets"], params["balance"]["train"] = [], "all"
    YAML().dump(params, tmp_path / "params.yaml")
    run_stages(tmp_path, ["scan", "frames", "faces"])
    assert {f["sample"] for f in rows(tmp_path, "faces")} == set(
        range(len(rows(tmp_path, "frames")))
    )
