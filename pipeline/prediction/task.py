"""One file from its pictures to the scores of its faces: the same steps as the stages take.

Times are planned as by ``frames``, faces found and cut out as by ``faces``, chosen as by
``balance`` for test, encoded as for shards and scored as by ``evaluate``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from faceshards import images, keys
from faceshards.images import Image
from pipeline.config.params import Params, resolve
from pipeline.engine.rows import Inputs, Member, Output, RowResult
from pipeline.errors import Reject, UserError
from pipeline.faces.crop import boxes_in_crop
from pipeline.faces.extract import FacesTask
from pipeline.faces.landmarks import Landmarker, landmarker_settings, make_landmarker
from pipeline.faces.plan import rules_text
from pipeline.faces.shipped import reads_shipped
from pipeline.prediction import picture, words
from pipeline.prediction.predictor import FaceScores, Predictor
from pipeline.selection import face_choice
from pipeline.versions import version
from pipeline.video.plan import FramesTask, sampling_text

VERSION = 1
"""Counted up when the same file gives another row."""
TELLING = 4
"""Faces of a file that are drawn: those with the most extreme scores on the side of the verdict."""
_PICTURE_QUALITY = 90
_SPLIT = "test"
_RULES = "rules"


class PredictTask:
    """The work of ``faceshards predict``: one row is one file.

    A row brings ``media``, ``file`` (absolute path) and ``fingerprint``.

    Args:
        run: name of the trained run.
        trained: SHA-256 of the run's best checkpoint.
        params: of the project in the working directory.
        project: its folder, absolute.
    """

    def __init__(self, run: str, trained: str, params: Params, project: Path) -> None:
        self._run = run
        self._trained = trained
        self._project = project
        self._frames = resolve(params.frames, "", _SPLIT)
        self._faces = resolve(params.faces, "", _SPLIT)
        self._landmarks = params.landmarks
        self._threshold = params.evaluate.threshold
        self._choice = resolve(params.balance, "", _SPLIT)
        if reads_shipped(self._faces):
            raise UserError(
                "faces.detector is precomputed: a new video brings no faces. Set another detector, "
                "and precomputed for the datasets that bring theirs, in faces.per_dataset."
            )
        self._predictor: Predictor | None = None
        self._landmarker: Landmarker | None = None
        self._batch_size = params.evaluate.batch_size
        jpeg = params.jpeg
        self._encoding = f"jpg/{jpeg.quality}/{jpeg.subsampling}"
        self._frames_task = FramesTask(self._frames)
        self._faces_task = FacesTask({_RULES: self._faces}, self._frames.max_side_px)

    def settings(self) -> Mapping[str, Any]:
        """Everything that decides a row: parameters, weights by digest, the trained model."""
        return {
            "trained": self._trained,
            "sampling": sampling_text(self._frames),
            "max_side_px": self._frames.max_side_px,
            "rules": rules_text(self._faces),
            "choice": asdict(self._choice),
            "threshold": self._threshold,
            "encoding": self._encoding,
            "landmarks": landmarker_settings(self._landmarks),
            "versions": {name: version(name) for name in ("frames", "faces", "evaluate")},
        }

    def open(self) -> None:
        """Loads detector, landmarker and model."""
        self._frames_task.open()
        self._faces_task.open()
        self._predictor = Predictor.load(self._run, self._project)
        if self._landmarks.landmarker != "none":
            self._landmarker = make_landmarker(self._landmarks)

    def units(self, inputs: Inputs) -> Sequence[str]:  # noqa: ARG002 - the file is the unit
        """The file itself."""
        return ("",)

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002
        """The row's id is the file's."""
        return {"file_id": row_id}

    def work(self, inputs: Inputs) -> RowResult:
        """Scores the faces of one file.

        Raises:
            Reject: as the stages ``frames`` and ``faces`` do; ``no_face`` where no face was found
                or none passes the filters of ``balance``.
        """
        times_s = self._times_s(inputs)
        found, chosen = self._found(inputs, times_s)
        faces = [images.decode_rgb(output.members[0].data) for output in chosen]
        scored = self._scored(faces)
        shown = {output.fields["sample"] for output in chosen}
        drawn = images.encode_jpeg(self._drawn(chosen, faces, scored), _PICTURE_QUALITY, "4:4:4")
        graph = self._ready.graph
        fields = {
            "faces": len(faces),
            "looked_at": len(times_s),
            "without_face": len(times_s) - len(shown) - found.left_out,
            "graph": graph.name if graph else "",
            "times_s": [output.fields["time_s"] for output in chosen],
            "scores": scored.scores.tolist(),
            "log_odds": scored.log_odds.tolist(),
            "node_probabilities": scored.nodes.ravel().tolist(),
            "digest": keys.digest128(drawn),
        }
        return RowResult([Output(fields, (Member("", "jpg", drawn),))], done=1)

    @property
    def _ready(self) -> Predictor:
        if self._predictor is None:
            raise RuntimeError("PredictTask.work() before open()")
        return self._predictor

    def _times_s(self, inputs: Inputs) -> list[float]:
        whole = {"segments_s": [], "segments_frames": [], "outside": 0}
        asked = {**inputs, **whole, "sampling": sampling_text(self._frames)}
        return [output.fields["time_s"] for output in self._frames_task.work(asked).outputs]

    def _found(self, inputs: Inputs, times_s: Sequence[float]) -> tuple[RowResult, list[Output]]:
        """What the stage ``faces`` finds, and those of its faces that ``balance`` would keep."""
        asked = {
            **inputs,
            "times_s": times_s,
            "encoding": self._encoding,
            "rules": _RULES,
            "min_frames": self._frames.min_frames,
            "altered": "",
            "reference": "",
        }
        found = self._faces_task.work(asked)
        if not found.outputs:
            raise Reject("no_face", f"none at {len(times_s)} times")
        columns = face_choice.columns(self._choice)
        table = pa.table({c: [o.fields[c] for o in found.outputs] for c in columns})
        rows = np.arange(len(found.outputs))
        left_out = face_choice.left_out_by(table, rows, np.zeros_like(rows), self._choice)
        chosen = [o for o, by in zip(found.outputs, left_out, strict=True) if by < 0]
        if not chosen:
            rule = face_choice.RULES[left_out[0]]
            raise Reject("no_face", f"{len(rows)} found, but balance.{rule} leaves all of them out")
        return found, chosen

    def _scored(self, faces: Sequence[Image]) -> FaceScores:
        size = self._batch_size
        parts = [self._ready.score(faces[at : at + size]) for at in range(0, len(faces), size)]
        return FaceScores(
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.log_odds for part in parts]),
            np.concatenate([part.nodes for part in parts]),
        )

    def _drawn(self, chosen: Sequence[Output], faces: Sequence[Image], scored: FaceScores) -> Image:
        towards = 1 if scored.scores.mean() >= self._threshold else -1
        telling = np.argsort(-towards * scored.log_odds, kind="stable")[:TELLING].tolist()
        regions: list[str] = []
        if graph := self._ready.graph:
            means = scored.nodes.mean(axis=0)
            nodes = zip(graph.nodes[1:], means[1:], strict=True)  # the first is the whole face
            regions = [name for name, p in nodes if p >= words.NAMED_FROM]
        points = [self._points(chosen[at], faces[at]) for at in telling]
        shown = [faces[at] for at in telling]
        return picture.strip(shown, points, regions, self._ready.relevance(shown))

    def _points(self, output: Output, face: Image) -> NDArray[np.float32] | None:
        """The 68 points of a face; None where nothing finds any."""
        if self._landmarker is None or output.fields["detector"] == "none":
            return None
        box, affine = (np.array([output.fields[name]], np.float64) for name in ("box", "affine"))
        inside = boxes_in_crop(box, affine)[0].tolist()
        try:
            return self._landmarker.points(face, inside, output.fields["detector"])[0]
        except Reject:
            return None
