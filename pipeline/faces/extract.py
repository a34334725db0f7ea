"""From one video and its planned times to its faces: decode, detect, crop, measure, encode."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from pipeline import images, keys
from pipeline.config import FacesParams
from pipeline.engine.rows import Inputs, Member, Output, RowResult, UnitReject
from pipeline.faces import quality, track
from pipeline.faces.crop import crop
from pipeline.faces.detect import Detection, Detector, detector_settings, make_detector
from pipeline.video.decode import VideoReader

MAX_SHORTFALL_S = 0.5
"""A whole file's pictures may end this long before its last planned time: headers round, and count
sound that goes on after the last picture. A greater lack means that data are missing."""

_NO_SETTINGS = ("weights", "lossless")
"""Parameters that decide nothing by themselves: the digest of the weights counts, not where they
lie, and each row says how it is to be stored."""


class FacesTask:
    """The work of the stage ``faces``: one row is one video, its units are its planned times.

    A row brings ``fingerprint``, ``times_s`` (list of s from the first picture), ``encoding``
    (``png`` or ``jpg/<quality>/<subsampling>``) and ``file`` (absolute path). It gives one output
    per face, in order of time and rank.
    """

    def __init__(self, params: FacesParams, max_side_px: int) -> None:
        self._params = params
        self._max_side_px = max_side_px
        self._detector: Detector | None = None

    def settings(self) -> Mapping[str, Any]:
        """Parameters of detection and cropping. ``max_side_px`` decided in ``frames`` already."""
        params = {
            field.name: getattr(self._params, field.name)
            for field in dataclasses.fields(self._params)
            if field.name not in _NO_SETTINGS
        }
        return {**params, "detector_settings": detector_settings(self._params)}

    def open(self) -> None:
        """Loads the detector."""
        self._detector = make_detector(self._params)

    def units(self, inputs: Inputs) -> Sequence[str]:
        """One per planned time."""
        return [keys.sample_unit(sample) for sample in range(len(inputs["times_s"]))]

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        """``face_id`` from the video's id, the sample and the rank; and the video's id."""
        face = keys.face_id(row_id, int(fields["sample"]), int(fields["rank"]))
        return {"face_id": face, "video_id": row_id}

    def work(self, inputs: Inputs) -> RowResult:
        """Extracts the faces of one video.

        Every planned time is a face picture (``done``), a repeat of a picture already taken
        (``left_out``), or rejected: ``no_face``, ``truncated`` or ``past_end``.

        Raises:
            Reject: the file cannot be opened, or no picture of it decoded.
        """
        if self._detector is None:
            raise RuntimeError("FacesTask.work() before open()")
        times_s: Sequence[float] = inputs["times_s"]
        encoding: str = inputs["encoding"]
        pictures: list[list[_Face]] = []
        seen: set[int] = set()
        rejects: list[UnitReject] = []
        with VideoReader(Path(inputs["file"]), self._max_side_px) as reader:
            for picture in reader.pictures_at(times_s):
                seen.update(picture.samples)
                sample = picture.samples[0]
                found = self._detector.detect(picture.image)
                place = {"sample": sample, "time_s": times_s[sample], "pts": picture.pts}
                pictures.append(
                    [
                        self._face(picture.image, detection, {**place, "rank": rank}, encoding)
                        for rank, detection in enumerate(found)
                    ]
                )
                if not found:
                    rejects.append(UnitReject(keys.sample_unit(sample), "no_face"))
            rejects += missing(times_s, seen, reader.end_s, reader.damage)
        tracks = track.link([[face.box for face in picture] for picture in pictures])
        outputs = [
            Output({**face.fields, "track": number}, (face.member,))
            for picture, numbers in zip(pictures, tracks, strict=True)
            for face, number in zip(picture, numbers, strict=True)
        ]
        done = sum(1 for picture in pictures if picture)
        return RowResult(outputs, done, len(seen) - len(pictures), rejects)

    def _face(
        self, image: images.Image, found: Detection, place: dict[str, Any], encoding: str
    ) -> "_Face":
        params = self._params
        cut = crop(
            image,
            found.box,
            size_px=params.size_px,
            margin=params.margin,
            shape=params.crop,
            border=params.border,
        )
        measured = quality.measure(cut.image)
        member = encode(cut.image, encoding)
        fields = {
            **place,
            "box": list(found.box),
            "score": found.score,
            "landmarks5": list(found.landmarks5),
            "affine": list(cut.affine),
            "crop_px": params.size_px,
            "face_px": face_px(found.box),
            "padded": cut.padded,
            "sharpness": measured.sharpness,
            "brightness": measured.brightness,
            "phash": measured.phash,
            "encoding": member.extension,
        }
        return _Face(found.box, fields, member)


@dataclasses.dataclass(frozen=True)
class _Face:
    box: tuple[float, float, float, float]
    fields: dict[str, Any]
    member: Member


def face_px(box: Sequence[float]) -> float:
    """Longer side of a box in px."""
    return max(box[2] - box[0], box[3] - box[1])


def encode(image: images.Image, encoding: str) -> Member:
    """A crop as it is stored: ``png``, or ``jpg/<quality>/<subsampling>``, say ``jpg/95/4:4:4``."""
    if encoding == "png":
        return Member("", "png", images.encode_png(image))
    kind, quality_text, subsampling = encoding.split("/")
    if kind != "jpg":
        raise ValueError(f"encoding {encoding!r} is neither png nor jpg/<quality>/<subsampling>")
    sampling = cast(Literal["4:4:4", "4:2:0"], subsampling)
    return Member("", "jpg", images.encode_jpeg(image, int(quality_text), sampling))


def missing(
    times_s: Sequence[float], seen: set[int], end_s: float, damage: str
) -> list[UnitReject]:
    """Rejects for the planned times at which no picture was on screen.

    ``truncated`` where data are missing: the decoder complained, or the pictures end more than
    :data:`MAX_SHORTFALL_S` before the last planned time. Else ``past_end``: the plan went past the
    end by a rounding.

    Args:
        times_s: the plan, in s from the first picture.
        seen: places in the plan that had a picture.
        end_s: end of the last picture in s.
        damage: the decoder's first complaint, or "".
    """
    lost = [sample for sample in range(len(times_s)) if sample not in seen]
    if not lost:
        return []
    cut_short = bool(damage) or max(times_s) - end_s > MAX_SHORTFALL_S
    detail = f"pictures end at {end_s:.3f} s" + (f"; decoder: {damage}" if damage else "")
    reason = "truncated" if cut_short else "past_end"
    return [UnitReject(keys.sample_unit(sample), reason, detail) for sample in lost]
