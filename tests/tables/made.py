"""Columns of tables that most tests have nothing to say about."""

PLAIN_VIDEO = {
    "segments_frames": [],
    "outside": 0,
    "pair_path": "",
    "pair_fingerprint": "",
    "mask_path": "",
    "mask_fingerprint": "",
}
"""Of a row of ``videos`` that is looked at by itself."""
