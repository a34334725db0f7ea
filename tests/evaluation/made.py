"""Small tables of scored faces and their videos, and small shards."""

import math

import pyarrow.compute as pc

from pipeline import tables
from pipeline.evaluation import facts
from pipeline.evaluation.aggregate import per_video
from pipeline.tables import schemas
from tests.shards import made
from tests.tables.made import PLAIN_VIDEO


def videos(rows):
    """Table ``videos`` of (video_id, split, label)."""
    return tables.from_rows("videos", [_video(*row) for row in rows])


def videos_of(rows):
    """Table ``videos`` of whole rows."""
    return tables.from_rows("videos", rows)


def faces(rows):
    """Table ``predictions_faces`` of (video_id, split, label, score), one row per face."""
    made = []
    for place, (video, split, label, score) in enumerate(rows):
        dataset, method, _ = video.split("/", 2)
        row = {"face_id": f"{video}/{place:05d}-0", "video_id": video, "split": split}
        row |= {"dataset": dataset, "method": method, "label": label, "score": score}
        row["log_odds"] = math.log(max(score, 1e-300)) - math.log(max(1 - score, 1e-300))
        row |= {"category": _category(label), "graph": "", "node_probabilities": []}
        made.append(row)
    return tables.from_rows("predictions_faces", made)


def known(rows, extra_videos=()):
    """Faces of (video_id, split, label, score), and their videos with what is known of them.

    ``extra_videos`` are (video_id, split, label) without a face.
    """
    listed = videos(sorted({row[:3] for row in rows} | set(extra_videos)))
    scored = faces(rows)
    return scored, facts.known(per_video(scored, listed), listed, scored)


def _category(label):
    return "FS" if label else "real"


def _video(video, split, label):
    dataset, method, name = video.split("/", 2)
    texts = ("subtype", "identity", "target_id", "source_id", "pair_id", "leak_group")
    row = dict.fromkeys((*texts, "compression"), "")
    row |= {"video_id": video, "dataset": dataset, "method": method, "path": f"{name}.mp4"}
    row |= {"split": split, "label": label, "category": _category(label), "media": "video"}
    return row | {"audio_fake": -1, "segments_s": [], "bytes": 1, "fingerprint": "00"} | PLAIN_VIDEO


def shards(root):
    """Folders ``train``, ``val``, ``test`` … of made faces; returns their table ``videos``."""
    world = made.world(root / "stores")
    for name, id_column in (("videos", "video_id"), ("samples", "face_id")):
        table = world.tables[name]
        third = pc.match_substring(table.column(id_column), "clip.2é")
        splits = pc.if_else(third, "test", table.column("split"))
        place = table.schema.get_field_index("split")
        field = schemas.schema(name).field("split")
        world.tables[name] = table.set_column(place, field, splits)
    made.shard(world, root / "shards")
    return world.tables["videos"]
