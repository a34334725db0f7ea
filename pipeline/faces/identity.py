"""Who a face looks like: embedding networks behind one protocol, for the tracks of a video.

Similarity is the cosine of two embeddings. Each network comes with two thresholds on it, from what
its makers publish: one to find somebody again, and a lower one to stay the same in one place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from faceshards.images import Image
from pipeline import weights
from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces.align import TEMPLATE_PX, align
from pipeline.faces.boxes import BoxesOf, hog_box
from pipeline.faces.detect import INSIGHTFACE_PACKS, Detection
from pipeline.faces.track import SIMILARITY_DECIMALS

if TYPE_CHECKING:
    import onnxruntime

Embeddings = NDArray[np.float32]
"""float32 (N, D): a unit vector per face."""

DLIB_NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
DLIB_POINTS = "shape_predictor_5_face_landmarks.dat"
DLIB_SIZE = 128
DLIB_DISTANCE = 0.6
"""dlib's rule for its network: nearer descriptors are one person's, others are not."""
DLIB_MARGIN = 0.04
"""Training brought one person's descriptors this much nearer than :data:`DLIB_DISTANCE`; to find
somebody again in any place, they must be as near."""
DLIB_LENGTH = 1.45
"""dlib's rule is about its own descriptors, which are no unit vectors: over the faces of 17 clips
they were 1.29 to 1.64 long, half of them below this. Between vectors of this length a distance
says the cosine."""

ARCFACE_SAME = 0.28
ARCFACE_DIFFERENT = 0.2
"""insightface's demonstration of its networks: the same person from 0.28, another one below 0.2."""
ARCFACE_MEAN = 127.5

_FLOAT = "tensor(float)"


class Embedder(Protocol):
    """Describes faces by vectors that are alike where the people are."""

    same: float
    """Cosine similarity at or above which two faces are the same person's."""
    different: float
    """Cosine similarity below which they are not; at most ``same``, between the two it is open."""

    def embed(self, image: Image, detections: Sequence[Detection]) -> Embeddings:
        """Embeddings of the faces of one image.

        Args:
            image: uint8 (H, W, 3) RGB.
            detections: the faces; boxes may reach over the border.

        Returns:
            float32 (N, D): a unit vector per face, in the order of the faces.
        """


class DlibEmbedder:
    """dlib's ResNet of 128 numbers (King 2017), on chips of 150 px turned upright by five points.

    The points are found anew within the box, so that every detector's boxes will do.

    Args:
        boxes_of: who gives the boxes; each detector draws them differently.
    """

    def __init__(self, boxes_of: BoxesOf) -> None:
        import dlib

        from pipeline.faces.dlib_models import model_path

        self.same = cosine(DLIB_DISTANCE - DLIB_MARGIN, DLIB_LENGTH)
        self.different = DIFFERENT["dlib"]
        self._boxes_of = boxes_of
        self._rectangle = dlib.rectangle
        self._predictor = dlib.shape_predictor(str(model_path(DLIB_POINTS)))
        self._network = dlib.face_recognition_model_v1(str(model_path(DLIB_NETWORK)))

    def embed(self, image: Image, detections: Sequence[Detection]) -> Embeddings:
        """See :class:`Embedder`; D is 128."""
        image = np.ascontiguousarray(image)
        found = np.zeros((len(detections), DLIB_SIZE))
        for i, detection in enumerate(detections):
            box = self._rectangle(*map(round, hog_box(detection.box, self._boxes_of)))
            points = self._predictor(image, box)
            found[i] = self._network.compute_face_descriptor(image, points)
        return unit(found)


class ArcFaceEmbedder:
    """A recognition network in insightface's layout (ArcFace, Deng et al. 2019).

    It sees faces turned upright by their five points, 112 px, (x - 127.5) / 127.5, one at a time.

    Args:
        session: takes float32 (1, 3, 112, 112) RGB and gives float32 (1, D).
    """

    same = ARCFACE_SAME
    different = ARCFACE_DIFFERENT

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        self.session = session
        self._input = session.get_inputs()[0].name
        self._size = int(session.get_outputs()[0].shape[1])

    def embed(self, image: Image, detections: Sequence[Detection]) -> Embeddings:
        """See :class:`Embedder`.

        Raises:
            UserError: a face comes without its five points.
        """
        found = np.zeros((len(detections), self._size))
        for i, detection in enumerate(detections):
            if not detection.landmarks5:
                raise UserError(
                    "faces.identity arcface needs five points, but the detector gives none for a "
                    "face. Set identity: dlib, or choose a detector that gives points."
                )
            face = align(image, detection.landmarks5, size_px=TEMPLATE_PX, margin=0.0).image
            seen = (face.astype(np.float32) - ARCFACE_MEAN) / ARCFACE_MEAN  # (112, 112, 3)
            (output,) = self.session.run(None, {self._input: seen.transpose(2, 0, 1)[None]})
            found[i] = output[0]
        return unit(found)


def unit(vectors: NDArray[np.float64]) -> Embeddings:
    """Vectors (N, D) at length 1, as float32; zeros stay zeros, which are like nobody."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (N, 1)
    lengths = np.maximum(lengths, np.finfo(np.float64).tiny)
    return np.asarray(vectors / lengths, np.float32)


def cosine(distance: float, length: float) -> float:
    """Cosine of two vectors of one length that are so far apart, rounded to 1e-3."""
    return round(1 - distance**2 / (2 * length**2), SIMILARITY_DECIMALS)


DIFFERENT = {"dlib": cosine(DLIB_DISTANCE, DLIB_LENGTH), "arcface": ARCFACE_DIFFERENT}
"""By ``faces.identity``: the cosine below which two faces are those of different people."""


def make_embedder(params: FacesParams) -> Embedder:
    """The network that the parameters name, loaded and ready.

    Raises:
        UserError: weights are missing, wrong or of another network, or the provider is not
            available.
        ValueError: the parameters name none.
    """
    if params.identity == "none":
        raise ValueError("make_embedder() called for identity: none")
    if params.identity == "dlib":
        return DlibEmbedder(params.detector)
    # Imported here: heavy, and the others do without it.
    from pipeline.faces.onnx_session import open_session

    (path,) = _files(params)
    session = open_session(path, params.provider)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if not _is_arcface(inputs, outputs):
        takes, gives = ([value.shape for value in values] for values in (inputs, outputs))
        raise UserError(
            f"{path} is no ArcFace network: it takes {takes} and gives {gives}, not "
            f"[[1, 3, {TEMPLATE_PX}, {TEMPLATE_PX}]] and [[1, D]] of float32. Name the recognition "
            "model in faces.identity_weights.path."
        )
    return ArcFaceEmbedder(session)


def _is_arcface(
    inputs: "Sequence[onnxruntime.NodeArg]", outputs: "Sequence[onnxruntime.NodeArg]"
) -> bool:
    """Whether one image goes in and one vector comes out; names stand for free sizes."""
    if len(inputs) != 1 or len(outputs) != 1 or {inputs[0].type, outputs[0].type} != {_FLOAT}:
        return False
    count, *image = inputs[0].shape
    free = count == 1 or not isinstance(count, int)
    vector = outputs[0].shape
    return (
        free
        and image == [3, TEMPLATE_PX, TEMPLATE_PX]
        and len(vector) == 2
        and isinstance(vector[1], int)
    )


def identity_settings(params: FacesParams) -> dict[str, object]:
    """What decides the embeddings besides image, faces and provider; JSON-serialisable.

    Empty for ``identity: none``. Loads no network, but reads the files.

    Raises:
        UserError: weights are missing or wrong.
    """
    if params.identity == "none":
        return {}
    digests = [weights.sha256(path) for path in _files(params)]
    return {"identity": params.identity, "identity_weights": digests}


def _files(params: FacesParams) -> list[Path]:
    if params.identity == "dlib":
        from pipeline.faces.dlib_models import model_path

        return [model_path(DLIB_NETWORK), model_path(DLIB_POINTS)]
    packs = INSIGHTFACE_PACKS.expanduser()
    purpose = "The identity network arcface"
    where = "faces.identity_weights"
    return [weights.find(params.identity_weights, where, purpose, "*.onnx", packs)]
