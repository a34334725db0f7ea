"""A task whose rows do cheap, checkable work: text in, one or more blobs out."""

import ctypes
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from faceshards import keys
from pipeline.engine.rows import Inputs, Member, Output, Plan, RowResult, UnitReject, in_batches
from pipeline.errors import Reject

FACE = {
    "time_s": 0.0,
    "pts": 0,
    "track": 0,
    "box": [0.0, 0.0, 8.0, 8.0],
    "score": 1.0,
    "landmarks5": [],
    "pose_deg": [],
    "track_share": 1.0,
    "embedding": [],
    "detector": "dlib",
    "affine": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    "crop_px": 8,
    "face_px": 8.0,
    "padded": 0.0,
    "sharpness": 1.0,
    "brightness": 1.0,
    "altered": -1.0,
    "phash": "0" * 16,
    "encoding": "png",
}


@dataclass
class ToyTask:
    """Writes ``copies`` blobs of the row's text into a ``faces`` table; magic words misbehave."""

    copies: int = 2

    def settings(self) -> Mapping[str, Any]:
        return {"copies": self.copies}

    def open(self) -> None:
        self.opened = True

    def units(self, inputs: Inputs) -> Sequence[str]:
        return [keys.sample_unit(i) for i in range(self.copies + 1)]

    def work(self, inputs: Inputs) -> RowResult:
        assert self.opened
        text = inputs["text"]
        if text.startswith("reject"):
            raise Reject("not_media", text)
        if text.startswith("crash"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if text.startswith("hang"):
            time.sleep(60)
        if text.startswith("spin"):
            ctypes.PyDLL(None).sleep(60)  # unlike time.sleep, keeps the interpreter's lock
        if text.startswith("swell"):
            hoard = [bytearray(b"x") * 50_000_000 for _ in range(60) if not time.sleep(0.02)]
            raise AssertionError(f"{len(hoard)} pieces of 50 MB, and nobody minded")
        if text.startswith("vast"):
            bytearray(10**15)  # refused at once, by the interpreter and not by the kernel
        if text.startswith("note "):
            _, path, _ = text.split(" ", 2)
            with Path(path).open("a") as file:  # who works this row, and for whom
                file.write(f"{os.getpid()} {os.getppid()}\n")
            time.sleep(0.3)
        if text.startswith("slow"):
            time.sleep(0.3)
        if text.startswith("end"):
            raise EOFError(text)
        if text.startswith("gone"):
            Path("/nowhere", text).read_bytes()
        if text.startswith("bug"):
            raise ZeroDivisionError(text)
        outputs = [
            Output(
                {**FACE, "sample": i, "rank": 0},
                (Member("", "png", f"{text} {i} ".encode() * (i * 300 + 1)),),
            )
            for i in range(self.copies)
        ]
        last = UnitReject(keys.sample_unit(self.copies), "no_face")
        counts = {"long": 1} if len(text) > 6 else {}
        return RowResult(outputs, done=self.copies, rejects=[last], counts=counts)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        return {
            "face_id": keys.face_id(row_id, fields["sample"], fields["rank"]),
            "video_id": row_id,
        }


def plan(texts: Mapping[str, str], labels: Mapping[str, str] | None = None) -> Plan:
    """Plan of ``{video id: text}``; a label is attached to a row's outputs as ``phash``."""
    marks = [(labels or {}).get(name, "0" * 16) for name in texts]
    table = pa.table({"video_id": list(texts), "text": list(texts.values()), "phash": marks})
    return Plan(
        in_batches(table),
        table.schema,
        "video_id",
        "video_id",
        content=("text",),
        attach=("phash",),
    )


def texts(n: int) -> dict[str, str]:
    return {f"toy/real/v{i:04d}": f"text {i}" for i in range(n)}
