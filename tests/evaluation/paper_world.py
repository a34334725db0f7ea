"""A made project with what both papers test on: a table of videos, and scores of named runs."""

import numpy as np

from pipeline import tables
from tests.evaluation import made

FF = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
METHODS = {
    "ffpp": {"Deepfakes": "FS", "Face2Face": "RE", "FaceSwap": "FS", "NeuralTextures": "RE"},
    "celebdf": {"celeb": "FS"},
    "dfdc": {"dfdc_unknown": "unknown"},
    "fakeavceleb": {"faceswap": "FS", "wav2lip": "RE"},
    "forgerynet": {"FSGAN": "FS"},
    "df40": {"simswap": "FS", "uniface": "FS", "wav2lip": "RE", "lia": "RE", "fomm": "RE"},
    "wilddeepfake": {"wild": "unknown"},
    "deepfake-eval-2024": {"wild": "unknown"},
    "faceshifter": {"FaceShifter": "FS"},
    "deeperforensics": {"end_to_end": "FS"},
    "ffsc": {
        "StyleRes-expr": "FE",
        "fomm-expr": "RE",
        "simswap": "FS",
        "HFGI-age": "FE",
        "StyleCLIP-gender": "FE",
        "FNeVR": "RE",
    },
    "diffusionface": {"DiffSwap": "FS", "ADM": "EFS"},
    "diff": {"DiffFace": "FS", "Stable": "EFS"},
}
EACH = 7
"""Videos of each method, and reals of each dataset."""


def rows():
    """Whole rows of ``videos``, all of test; some reals of FakeAVCeleb have fake sound."""
    found = []
    for dataset, methods in METHODS.items():
        for method, category in {"real": "real", **methods}.items():
            for number in range(EACH):
                video = f"{dataset}/{method}/{number:03}"
                (row,) = made.videos([(video, "test", int(method != "real"))]).to_pylist()
                row |= {"category": category, "leak_group": f"{dataset} {number}"}
                if dataset == "fakeavceleb" and method == "real":
                    row["audio_fake"] = int(number > 4)
                if dataset == "ffsc" and number == 6:
                    row["path"] = f"Test/Protocol-1/{method}/{number}.png"
                found.append(row)
    return found


def scores(run, videos):
    """A score for each video, by the name of the run; some are equal."""
    draw = np.random.default_rng([*run.encode()])
    return {
        row["video_id"]: float(
            np.round(np.clip(0.3 * row["label"] + draw.uniform(0, 0.7), 0.01, 0.99), 2)
        )
        for row in videos
    }


def build(root, runs, gaps=()):
    """Tables of the project and of its runs; returns rows of videos, and scores by run.

    ``gaps`` are videos without a score in every run.
    """
    videos = rows()
    listed = made.videos_of(videos)
    tables.write(root / "manifests/videos.parquet", "videos", listed)
    (root / "params.yaml").write_text("seed: 0\n")
    found = {run: scores(run, videos) for run in runs}
    for run, of in found.items():
        faces = made.faces(
            [
                (v["video_id"], "test", v["label"], of[v["video_id"]])
                for v in videos
                if v["video_id"] not in gaps
            ]
        )
        folder = root / "predictions" / run
        tables.write(folder / "faces.parquet", "predictions_faces", _categories(faces, listed))
        scored = made.per_video(faces, listed)
        tables.write(folder / "videos.parquet", "predictions_videos", scored)
    return videos, found


def _categories(faces, videos):
    category = dict(
        zip(videos["video_id"].to_pylist(), videos["category"].to_pylist(), strict=True)
    )
    rows = faces.to_pylist()
    return tables.from_rows(
        "predictions_faces", [row | {"category": category[row["video_id"]]} for row in rows]
    )
