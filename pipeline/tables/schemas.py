"""The Arrow schema of every table, with meaning, unit and range per column.

Absent text is "", an unknown number is -1; nothing is null.
"""

import pyarrow as pa

from faceshards.columns import Column, arrow_schema
from faceshards.fields import (
    ALIGNMENTS,
    CATEGORIES,
    EXPANDED,
    GENERATORS,
    INDEX,
    INDEX_EXPANDED,
    SPLITS,
)

MEDIA = ("video", "frames", "image", "tar", "tar_image", "parquet")
ENCODINGS = ("png", "jpg")
SCORE_STATUSES = ("ok", "missing", "error")
DETECTORS = ("dlib", "scrfd", "retinaface", "centerface", "precomputed", "none")

REJECT_REASONS = {
    "missing": "listed, but not on disk",
    "duplicate": "the same file or id is listed twice",
    "unknown_label": "the label is not known to be real or fake",
    "inconsistent": "two sources of the dataset disagree about this video",
    "excluded": "left out by a rule that the dataset's options or parameters state",
    "audit_conflict": "the same bytes are called real and fake (datasets.audit)",
    "audit_duplicate": "the same bytes as a video that is kept (datasets.audit)",
    "audit_leak": "shares a person, clip or group with a later split (datasets.audit)",
    "unsupported_media": "not a form of input this version reads",
    "unreadable": "the file exists but cannot be read",
    "changed": "the file is not the one that scan saw (tried again by the next run)",
    "empty": "the file has no bytes",
    "not_media": "not a video container on the closed list",
    "no_video_stream": "a container without a video stream",
    "encrypted": "the pictures are encrypted",
    "bad_dimensions": "width or height is absurd",
    "no_duration": "neither header nor packets tell how long it is",
    "decode_error": "the decoder failed before the first picture",
    "damaged": "the picture at this planned time is damaged",
    "truncated": "the file ends before this planned time",
    "past_end": "the last picture ends before this planned time",
    "no_face": "the detector found no face",
    "no_landmarks": "the landmarker found no points",
    "empty_region": "the region's mask covers no pixel",
    "too_alike": "the swap changes too little to be seen, so that its labels would be wrong",
    "odd_colors": "the source's region is too pale to be given the target's colors",
    "odd_sharpness": "one of the two regions is much sharper than the other",
    "timeout": "the row exceeded its deadline (tried again by the next run)",
    "out_of_memory": "the row needed more memory than it may have (tried again by the next run)",
    "worker_died": "the process died while working on it (tried again by the next run)",
}
AWAY_REASONS = frozenset({"missing", "unreadable", "changed"})
"""Behind ``scan``: the file was there a moment ago, and may be again."""
TRANSIENT_REASONS = frozenset({"timeout", "out_of_memory", "worker_died"}) | AWAY_REASONS
"""In stages with a store: the next run tries the row again."""


_text = pa.string()
_floats = pa.list_(pa.float32())
_doubles = pa.list_(pa.float64())
_numbers = pa.list_(pa.int64())

_LOCATION = (
    Column(
        "tar", _text, "tar in the stage's store that holds the bytes; a location, never content"
    ),
    Column("offset", pa.int64(), "first byte of the payload in the tar", "bytes", low=0),
    Column("size", pa.int64(), "payload size", "bytes", low=1),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "videos": (
        Column("video_id", _text, "<dataset>/<method>/<name>; unique over all datasets"),
        Column("dataset", _text, "name of the dataset in manifests/datasets.yaml"),
        Column("path", _text, "POSIX path relative to the dataset's root"),
        Column("media", _text, "what the path is", among=MEDIA),
        Column("split", _text, "split by the dataset's rule", among=SPLITS),
        Column("label", pa.int8(), "0 real, 1 fake; by what is visible", among=(0, 1)),
        Column("method", _text, "manipulation; real for pristine"),
        Column("category", _text, "kind of manipulation", among=CATEGORIES),
        Column("subtype", _text, "finer kind, such as lip_sync; or empty"),
        Column("audio_fake", pa.int8(), "1 fake sound, 0 not, -1 unknown", among=(-1, 0, 1)),
        Column("identity", _text, "who is visible, unique over all datasets; or empty"),
        Column("target_id", _text, "whose video was manipulated; or empty"),
        Column("source_id", _text, "whose face or motion was put in; or empty"),
        Column("pair_id", _text, "ties a fake to the real video of the same scene; or empty"),
        Column("leak_group", _text, "videos of one group must not be in two splits; or empty"),
        Column("compression", _text, "such as raw, c23; or empty"),
        Column(
            "segments_s", _doubles, "start, end, start, end … of labelled parts; [] = whole", "s"
        ),
        Column(
            "segments_frames",
            _numbers,
            "the same in 0-based pictures, where the dataset counts so; [] = segments_s holds",
        ),
        Column(
            "outside",
            pa.int8(),
            "1: the row is what lies outside of these parts, 0: the parts",
            among=(0, 1),
        ),
        Column("bytes", pa.int64(), "file size", "bytes", low=0),
        Column("fingerprint", _text, "BLAKE2b of size, first and last 64 KiB (or all bytes)"),
        Column("pair_path", _text, "pristine film of the same pictures, as path; or empty"),
        Column("pair_fingerprint", _text, "fingerprint of it; or empty"),
        Column("mask_path", _text, "film that is bright where this one is altered; or empty"),
        Column("mask_fingerprint", _text, "fingerprint of it; or empty"),
    ),
    "frames": (
        Column("video_id", _text, "the video"),
        Column("sample", pa.int32(), "0-based place in the video's plan", low=0),
        Column(
            "part", pa.int32(), "0-based place among the parts of the video; -1 = whole", low=-1
        ),
        Column("time_s", pa.float64(), "planned time from the first picture", "s", low=0),
        Column("container", _text, "container format"),
        Column("codec", _text, "video codec"),
        Column("width_px", pa.int32(), "coded width before rotation", "px", low=1),
        Column("height_px", pa.int32(), "coded height before rotation", "px", low=1),
        Column(
            "rotation_deg", pa.int16(), "clockwise turn for display", "deg", among=(0, 90, 180, 270)
        ),
        Column("duration_s", pa.float64(), "length by header, or by packets", "s", low=0),
        Column(
            "average_fps", pa.float64(), "average frame rate by header; -1 unknown", "1/s", low=-1
        ),
        Column("frame_count", pa.int64(), "frames by header or packets; -1 unknown", low=-1),
        Column("transfer", _text, "how light is coded, as FFmpeg calls it; or empty"),
        Column("primaries", _text, "primary colors, as FFmpeg calls them; or empty"),
    ),
    "faces": (
        Column("face_id", _text, "<video_id>/<sample>-<rank>"),
        Column("video_id", _text, "the video"),
        Column("sample", pa.int32(), "place in the video's plan", low=0),
        Column("time_s", pa.float64(), "planned time", "s", low=0),
        Column("pts", pa.int64(), "presentation time stamp of the picture, in stream ticks"),
        Column("rank", pa.int16(), "0 = largest face of the picture", low=0),
        Column("track", pa.int32(), "the same number is the same person through the video", low=0),
        Column(
            "track_share",
            pa.float32(),
            "share of the video's planned times at which the track is seen",
            low=0,
            high=1,
        ),
        Column(
            "embedding",
            _floats,
            "who the track looks like (faces.identity), a unit vector to 1e-3; [] where it is off",
        ),
        Column(
            "detector",
            _text,
            "whose box it is; none: a cropped face's whole picture",
            among=DETECTORS,
        ),
        Column("box", _floats, "x1, y1, x2, y2 in the displayed frame, to 1/16", "px", length=4),
        Column("score", pa.float32(), "detector score, to 1e-4; -1 where there is none", low=-1),
        Column(
            "landmarks5",
            _floats,
            "eyes, nose, mouth corners as x, y in the frame; or []",
            "px",
            length=10,
        ),
        Column(
            "affine",
            _doubles,
            "frame to crop: a, b, c, d, e, f; x' = ax + by + c, y' = dx + ey + f",
            "px",
            length=6,
        ),
        Column("crop_px", pa.int32(), "side of the stored crop", "px", low=1),
        Column("face_px", pa.float32(), "longer side of the box in the frame", "px", low=0),
        Column(
            "padded", pa.float32(), "share of the crop that lies outside the frame", low=0, high=1
        ),
        Column("sharpness", pa.float32(), "variance of the Laplacian of the crop's luma", low=0),
        Column("brightness", pa.float32(), "mean luma of the crop", low=0, high=255),
        Column(
            "pose_deg",
            _floats,
            "yaw, pitch, roll, roughly: right, up, clockwise are above 0; [] without landmarks5",
            "deg",
            length=3,
        ),
        Column(
            "altered",
            pa.float32(),
            "share of the box that was altered, by mask or pair, to 1e-4; -1 unknown or a real",
            low=-1,
            high=1,
        ),
        Column("phash", _text, "64-bit perceptual hash of the crop, 16 hex"),
        Column("encoding", _text, "png: lossless; jpg: final", among=ENCODINGS),
        Column("digest", _text, "BLAKE2b-128 of the stored bytes"),
        *_LOCATION,
    ),
    "samples": (
        Column("face_id", _text, "the chosen face"),
        Column("split", _text, "split", among=SPLITS),
        Column("label", pa.int8(), "0 real, 1 fake", among=(0, 1)),
        Column(
            "weight",
            pa.float32(),
            "sampling weight: classes equal, videos equal in a class; mean 1",
            low=0,
        ),
        Column("quota", pa.int32(), "how many faces of its video were chosen", low=1),
    ),
    "landmarks": (
        Column("face_id", _text, "the face"),
        Column("points", _floats, "68 points as x, y in crop pixels, iBUG order", "px", length=136),
        Column("score", pa.float32(), "landmarker's confidence; -1 where it has none", low=-1),
    ),
    "expanded": (
        Column("sample_id", _text, "<dataset>/<method>/<target name>/<sample>-<rank>-<k>"),
        Column("generator", _text, "how it was made", among=GENERATORS),
        Column("method", _text, "<generator>_<region>"),
        Column("region", _text, "what was replaced: a region; face for all of it"),
        Column("target_face_id", _text, "the real face that was altered"),
        Column("source_face_id", _text, "the face the region came from"),
        Column("source_method", _text, "manipulation of the source face; real for pristine"),
        Column("distance", pa.float32(), "Euclidean distance of the 136 coordinates", "px", low=0),
        Column("align", _text, "how the source was brought onto the target", among=ALIGNMENTS),
        Column("dilate_px", pa.int32(), "growth of the region before the blur", "px", low=0),
        Column("blur_sigma_px", pa.float32(), "blur of the mask, to 1/64", "px", low=0),
        Column("mask_seed", pa.int64(), "of the mask's random shape; -1 where it has none", low=-1),
        Column("color", _text, "when colors were corrected", among=("after", "before", "none")),
        Column("max_gain", pa.float32(), "limit of the correction; 0 = none", low=0),
        Column(
            "change",
            pa.float32(),
            "mean difference to the target over the mask",
            "levels of 255",
            low=0,
            high=255,
        ),
        Column("color_gap", pa.float32(), "color contrast of target over source", low=0),
        Column("sharpness_gap", pa.float32(), "factor between the regions' sharpness", low=1),
        Column(
            "source_affine",
            _doubles,
            "source crop to target crop, as in faces.affine",
            "px",
            length=6,
        ),
        Column("digest", _text, "BLAKE2b-128 of the stored image"),
        *_LOCATION,
        Column(
            "mask_offset", pa.int64(), "first byte of the mask's PNG in the tar", "bytes", low=0
        ),
        Column("mask_size", pa.int64(), "size of the mask's PNG", "bytes", low=1),
        Column("mask_digest", _text, "BLAKE2b-128 of the mask's PNG"),
    ),
    "index": INDEX,
    "index_expanded": INDEX_EXPANDED,
    "predictions_faces": (
        Column("face_id", _text, "the face"),
        Column("video_id", _text, "its video"),
        Column("split", _text, "split", among=SPLITS),
        Column("dataset", _text, "name of the dataset"),
        Column("method", _text, "manipulation; real for pristine"),
        Column("category", _text, "kind of manipulation", among=CATEGORIES),
        Column("label", pa.int8(), "0 real, 1 fake; by what is visible", among=(0, 1)),
        Column("score", pa.float64(), "probability that it is fake", low=0, high=1),
        Column("log_odds", pa.float64(), "logarithm of score / (1 - score), without its rounding"),
        Column("graph", _text, "named label graph of the node probabilities; or empty"),
        Column(
            "node_probabilities",
            _doubles,
            "probability that it is altered, per node of the graph; or []",
        ),
    ),
    "predictions_videos": (
        Column("video_id", _text, "the video"),
        Column("split", _text, "split", among=SPLITS),
        Column("dataset", _text, "name of the dataset"),
        Column("method", _text, "manipulation; real for pristine"),
        Column("category", _text, "kind of manipulation", among=CATEGORIES),
        Column("label", pa.int8(), "0 real, 1 fake; by what is visible", among=(0, 1)),
        Column("status", _text, "whether it has a score", among=SCORE_STATUSES),
        Column("reason", _text, "why it has none; empty where it has one"),
        Column(
            "faces",
            pa.int32(),
            "how many of its faces have a score; -1 where the video was scored as a whole",
            low=-1,
        ),
        Column(
            "score",
            pa.float64(),
            "mean score of its faces; -1 where it has none",
            low=-1,
            high=1,
        ),
        Column("log_odds", pa.float64(), "mean log_odds of its faces; 0 where it has none"),
    ),
    "predicted": (
        Column("file_id", _text, "files/given/<path below what was given>/0"),
        Column("faces", pa.int32(), "how many faces were scored", low=1),
        Column("looked_at", pa.int32(), "at how many times", low=1),
        Column("without_face", pa.int32(), "at how many of them nothing was scored", low=0),
        Column("graph", _text, "named label graph of the node probabilities; or empty"),
        Column("times_s", _doubles, "time of each face from the first image", "s"),
        Column("scores", _doubles, "probability of each face that it is fake"),
        Column("log_odds", _doubles, "logarithm of score / (1 - score) of each face"),
        Column(
            "node_probabilities",
            _doubles,
            "probability that it is altered, per face and node of the graph; or []",
        ),
        Column("digest", _text, "BLAKE2b-128 of the JPEG of its most telling faces"),
        *_LOCATION,
    ),
    "rejected": (
        Column("id", _text, "what was rejected, in the stage's own unit"),
        Column("reason", _text, "from the closed set", among=tuple(REJECT_REASONS)),
        Column("detail", _text, "what a person needs to know besides"),
    ),
}


def schema(name: str) -> pa.Schema:
    """Arrow schema of a table; column meanings travel as field metadata."""
    return arrow_schema(TABLES[name])


def index_table(folder: str) -> str:
    """Name of the table that the index of a shard folder is."""
    return "index_expanded" if folder == EXPANDED else "index"
