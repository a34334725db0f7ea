"""From one video and its planned times to its faces: decode, detect, crop, measure, encode."""

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast

from faceshards import images, keys
from pipeline.config.params import FacesParams
from pipeline.engine.rows import Inputs, Member, Output, RowResult, UnitReject
from pipeline.errors import Reject, UserError
from pipeline.faces import altered, quality, track
from pipeline.faces.align import align, shown_px
from pipeline.faces.crop import Crop, crop, whole
from pipeline.faces.detect import Detection, Detector, detector_settings, make_detector
from pipeline.faces.identity import Embedder, Embeddings, identity_settings, make_embedder
from pipeline.faces.reference import ReferenceReader
from pipeline.faces.shipped import NO_SCORE, ShippedFaces, reads_shipped
from pipeline.video.decode import Frame
from pipeline.video.reader import enough, open_reader

MAX_SHORTFALL_S = 0.5
"""A whole file's frames may end this long before its last planned time: headers round, and count
sound that goes on after the last frame. A greater lack means that data are missing."""

DECODED_WHOLE = "decoded_whole"
"""Counts videos of which every frame was decoded, since leaving some out was not safe."""

MAX_FACE = 4
"""A face may reach over the frame, but not be more than so many times as long as its longer side.
Such boxes and points, of networks or in shipped files, are errors; cutting them takes gigabytes."""

ALTERED_KNOWN, ALTERED_UNKNOWN = "altered_known", "altered_unknown"
"""Count faces of fakes that were to be held against a mask or pair: those that were, and those that
have none at that time."""

NO_DETECTOR = "none"
"""Column ``detector`` of frames that are cropped faces already."""


class FacesTask:
    """The work of the stage ``faces``: one row is one video, its units are its planned times.

    A row brings ``fingerprint``, ``times_s`` (list of s from the first frame), ``encoding``
    (``png`` or ``jpg/<quality>/<subsampling>``), ``rules`` (text that names its parameters),
    ``min_frames``, ``shipped`` (digest of precomputed faces), ``altered`` (see
    :func:`pipeline.faces.plan.faces_plan`), ``reference`` (file of the mask or pair; or ""),
    ``media`` and ``file`` (see :func:`pipeline.video.reader.open_reader`). It gives one output per
    face, in order of time and rank.

    Args:
        rules: parameters by the text that rows name them with (see :mod:`pipeline.faces.plan`).
        max_side_px: a larger frame is not decoded; decided in ``frames`` already.
    """

    def __init__(self, rules: Mapping[str, FacesParams], max_side_px: int) -> None:
        self._rules = rules
        self._max_side_px = max_side_px
        self._detectors: dict[str, Detector] = {}
        self._embedders: dict[str, Embedder] = {}

    def settings(self) -> Mapping[str, Any]:
        """Nothing: every row names its rules."""
        return {}

    def open(self) -> None:
        """Loads the detectors and the networks that tell people apart, each once."""
        loaded: dict[str, Detector] = {}
        embedders: dict[str, Embedder] = {}
        for text, params in self._rules.items():
            if params.detect and not reads_shipped(params):
                settings = json.dumps(detector_settings(params))
                if settings not in loaded:
                    loaded[settings] = make_detector(params)
                self._detectors[text] = loaded[settings]
            if params.detect and params.identity != "none":
                given = {"provider": params.provider, "boxes_of": params.detector}
                settings = json.dumps(identity_settings(params) | given)
                if settings not in embedders:
                    embedders[settings] = make_embedder(params)
                self._embedders[text] = embedders[settings]

    def units(self, inputs: Inputs) -> Sequence[str]:
        """One per planned time."""
        return [keys.sample_unit(sample) for sample in range(len(inputs["times_s"]))]

    def identify(self, row_id: str, fields: Mapping[str, Any]) -> dict[str, str]:
        """``face_id`` from the video's id, the sample and the rank; and the video's id."""
        face = keys.face_id(row_id, int(fields["sample"]), int(fields["rank"]))
        return {"face_id": face, "video_id": row_id}

    def work(self, inputs: Inputs) -> RowResult:
        """Extracts the faces of one video.

        Every planned time is a frame with faces (``done``), a repeat of a frame already taken
        (``left_out``), or rejected: ``no_face``, ``damaged`` (videos), what is wrong with a still
        image, ``truncated`` or ``past_end``.

        Raises:
            Reject: the file cannot be opened, no frame of it decoded, or fewer than
                ``min_frames``.
        """
        times_s: Sequence[float] = inputs["times_s"]
        params = self._rules[inputs["rules"]]
        faces: list[list[_Face]] = []
        seen: list[tuple[int, ...]] = []
        rejects: list[UnitReject] = []
        embedder = self._embedders.get(inputs["rules"])
        looks: list[Embeddings] = []
        compared: list[list[altered.Look]] = []
        kind = cast(altered.Kind, inputs["altered"].partition(":")[0])
        with (
            open_reader(
                inputs["media"],
                inputs["file"],
                self._max_side_px,
                keep_damaged=params.keep_damaged,
            ) as reader,
            ReferenceReader(
                kind, inputs["media"], inputs["reference"], times_s, self._max_side_px
            ) as reference,
        ):
            finder = self._finder(inputs)
            for batch in _batches(reader.frames_at(times_s), finder.batch):
                for frame, all_found in zip(batch, finder.find(batch), strict=True):
                    found = [face for face in all_found if _fits(face, frame.image, params)]
                    seen.append(frame.samples)
                    compared.append(reference.looks(frame, [face.box for face in found]))
                    faces.append(_faces(frame, found, times_s, params, inputs["encoding"]))
                    if embedder:
                        looks.append(embedder.embed(frame.image, found))
                    if not found:
                        rejects.append(UnitReject(keys.sample_unit(frame.samples[0]), "no_face"))
            shown = {sample for samples in seen for sample in samples}
            rejects += missing(times_s, shown, reader.end_s, reader.damage, reader.problems)
        enough(len(shown), len(times_s), inputs["min_frames"], reader.damage)
        likeness = track.Likeness(looks, embedder.same, embedder.different) if embedder else None
        tracks = track.link([[face.box for face in frame] for frame in faces], likeness)
        people = track.looks(tracks, likeness)
        shares = track_shares(tracks, [len(samples) for samples in seen], len(times_s))
        changed = altered_shares(tracks, compared)
        outputs = [
            Output(
                {
                    **face.fields,
                    "track": number,
                    "track_share": shares[number],
                    "embedding": people[number],
                    "altered": share,
                },
                (face.member,),
            )
            for frame, numbers, parts in zip(faces, tracks, changed, strict=True)
            for face, number, share in zip(frame, numbers, parts, strict=True)
        ]
        done = sum(1 for frame in faces if frame)
        counts = {DECODED_WHOLE: int(reader.fell_back)}
        if kind:
            known = sum(output.fields["altered"] != altered.UNKNOWN for output in outputs)
            counts |= {ALTERED_KNOWN: known, ALTERED_UNKNOWN: len(outputs) - known}
        return RowResult(outputs, done, len(shown) - len(faces), rejects, counts)

    def _finder(self, inputs: Inputs) -> "_Finder":
        params = self._rules[inputs["rules"]]
        if not params.detect:
            return _Whole()
        if reads_shipped(params):
            return _Shipped(ShippedFaces(Path(inputs["file"]), params), inputs["times_s"])
        return _Detected(self._detectors[inputs["rules"]])


class _Finder(Protocol):
    """Finds the faces of frames of one video."""

    batch: int

    def find(self, frames: Sequence[Frame]) -> list[list[Detection]]: ...


class _Detected:
    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.batch = detector.batch

    def find(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        return self._detector.detect_all([frame.image for frame in frames])


class _Shipped:
    batch = 1

    def __init__(self, shipped: ShippedFaces, times_s: Sequence[float]) -> None:
        self._shipped = shipped
        self._times_s = times_s

    def find(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        return [self._shipped.at(self._times_s[p.samples[0]], p.pts) for p in frames]


class _Whole:
    batch = 1

    def find(self, frames: Sequence[Frame]) -> list[list[Detection]]:
        sizes = ((float(p.image.shape[1]), float(p.image.shape[0])) for p in frames)
        return [[Detection((0.0, 0.0, *size), NO_SCORE, ())] for size in sizes]


def _fits(face: Detection, image: images.Image, params: FacesParams) -> bool:
    """Whether a face lies in the frame at least in part, and is not absurdly large."""
    height, width = int(image.shape[0]), int(image.shape[1])
    x1, y1, x2, y2 = face.box
    largest = MAX_FACE * max(width, height)
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0 or face_px(face.box) > largest:
        return False
    turned = params.detect and (params.align or params.identity == "arcface")
    if not (turned and face.landmarks5):
        return True
    return shown_px(face.landmarks5, margin=params.margin) <= largest


def _batches(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    frames = iter(frames)
    while batch := list(itertools.islice(frames, size)):
        yield batch


def _faces(
    frame: Frame,
    found: Sequence[Detection],
    times_s: Sequence[float],
    params: FacesParams,
    encoding: str,
) -> list["_Face"]:
    sample = frame.samples[0]
    place = {"sample": sample, "time_s": times_s[sample], "pts": frame.pts}
    return [
        _face(frame.image, face, {**place, "rank": rank}, params, encoding)
        for rank, face in enumerate(found)
    ]


def _face(
    image: images.Image, found: Detection, place: dict[str, Any], params: FacesParams, encoding: str
) -> "_Face":
    cut = cut_out(image, found, params)
    measured = quality.measure(cut.image)
    member = encode(cut.image, encoding)
    fields = {
        **place,
        "box": list(found.box),
        "score": found.score,
        "landmarks5": list(found.landmarks5),
        "detector": params.detector if params.detect else NO_DETECTOR,
        "affine": list(cut.affine),
        "crop_px": params.size_px,
        "face_px": face_px(found.box),
        "padded": cut.padded,
        "sharpness": measured.sharpness,
        "brightness": measured.brightness,
        "pose_deg": quality.pose(found.landmarks5),
        "phash": measured.phash,
        "encoding": member.extension,
    }
    return _Face(found.box, fields, member)


def cut_out(image: images.Image, found: Detection, params: FacesParams) -> Crop:
    """A face as it is stored.

    Raises:
        UserError: faces are to be turned upright, but the dataset ships none of their points.
    """
    if not params.detect:
        return whole(image, size_px=params.size_px)
    if not params.align:
        return crop(
            image,
            found.box,
            size_px=params.size_px,
            margin=params.margin,
            shape=params.crop,
            border=params.border,
        )
    if not found.landmarks5:
        raise UserError(
            "faces.align needs five points, but the precomputed faces of a video have none. Add "
            "them, or set align: false for this dataset in faces.per_dataset."
        )
    return align(image, found.landmarks5, size_px=params.size_px, margin=params.margin)


def track_shares(
    tracks: Sequence[Sequence[int]], shown: Sequence[int], planned: int
) -> dict[int, float]:
    """Share of a video's planned times at which each track is seen, in (0, 1], to 1e-4.

    Args:
        tracks: track of every face of every frame; no track twice in a frame.
        shown: at how many planned times each frame is on screen.
        planned: how many times were planned.
    """
    counts: Counter[int] = Counter()
    for numbers, times in zip(tracks, shown, strict=True):
        counts.update(dict.fromkeys(numbers, times))
    return {number: round(count / planned, 4) for number, count in counts.items()}


def altered_shares(
    tracks: Sequence[Sequence[int]], compared: Sequence[Sequence[altered.Look]]
) -> list[list[float]]:
    """Altered share of every face of every frame, each person's looked at together.

    Args:
        tracks: track of every face of every frame.
        compared: what its mask or pair tells of each of these faces.
    """
    places = [(f, n) for f, numbers in enumerate(tracks) for n in range(len(numbers))]
    shares = [[altered.UNKNOWN] * len(numbers) for numbers in tracks]
    for track_number in {tracks[f][n] for f, n in places}:
        own = [(f, n) for f, n in places if tracks[f][n] == track_number]
        for (f, n), share in zip(
            own, altered.pooled([compared[f][n] for f, n in own]), strict=True
        ):
            shares[f][n] = share
    return shares


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
    times_s: Sequence[float],
    seen: set[int],
    end_s: float,
    damage: str,
    problems: Mapping[int, Reject],
) -> list[UnitReject]:
    """Rejects for the planned times at which no frame was on screen, or none that is sound.

    What the reader says of a time; else ``truncated`` where data are missing: the decoder
    complained, or the frames end more than :data:`MAX_SHORTFALL_S` before the last planned time.
    Else ``past_end``: the plan went past the end by a rounding.

    Args:
        times_s: the plan, in s from the first frame.
        seen: places in the plan that had a frame.
        end_s: end of the last frame in s.
        damage: the decoder's first complaint, or "".
        problems: what is wrong with frames that were found, by their place in the plan.
    """
    told = [
        UnitReject(keys.sample_unit(sample), problem.reason, problem.detail)
        for sample, problem in sorted(problems.items())
    ]
    lost = [s for s in range(len(times_s)) if s not in seen and s not in problems]
    if not lost:
        return told
    cut_short = bool(damage) or max(times_s) - end_s > MAX_SHORTFALL_S
    detail = f"{len(lost)} of {len(times_s)} planned pictures are missing; "
    detail += f"pictures end at {end_s:.3f} s" + (f"; decoder: {damage}" if damage else "")
    reason = "truncated" if cut_short else "past_end"
    return told + [UnitReject(keys.sample_unit(sample), reason, detail) for sample in lost]
