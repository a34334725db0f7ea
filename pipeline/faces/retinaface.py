"""RetinaFace (Deng et al. 2020) with the two public backbones, in the public key layout.

MobileNet-0.25 or ResNet-50, a feature pyramid at strides 8, 16 and 32, one context module (SSH) and
three 1x1 heads per level, two priors per cell. Keys and shapes are those of the widely used PyTorch
checkpoints, so that those load as they are.
"""

import functools
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceshards.images import Image
from pipeline import weights
from pipeline.config.params import FacesParams
from pipeline.errors import UserError
from pipeline.faces.detect import (
    Candidates,
    Floats,
    lowest_score,
    merge,
    resize_longer_side,
    weights_file,
)

STRIDES_PX = (8, 16, 32)
PRIOR_SIDES_PX = ((16, 32), (64, 128), (256, 512))
"""Sides of the two square priors per cell at each stride."""
CENTRE_VARIANCE = 0.1
SIZE_VARIANCE = 0.2
MEAN_BGR = (104.0, 117.0, 123.0)
AUTO_LARGE_PX = 1280
"""``auto`` looks at no more: in 1080p frames, faces of 24 px still fill the smallest prior."""
AUTO_SMALL_PX = 256
"""``auto``'s first look, at which faces that fill the image are found, without padding."""

CUDA_BATCH = 16
"""Images worked together on a GPU."""

_LEAK = 0.1
"""Slope of the narrow (64-channel) network's activations; the wide one has plain ReLU."""


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [_conv(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]


def _conv_norm_act(
    inputs: int, outputs: int, kernel: int, stride: int = 1, leak: float = 0.0
) -> list[nn.Module]:
    return [*_conv_norm(inputs, outputs, kernel, stride), nn.LeakyReLU(leak, inplace=True)]


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(inputs, inputs, 3, stride, groups=inputs),
        nn.BatchNorm2d(inputs),
        nn.LeakyReLU(_LEAK, inplace=True),
        *_conv_norm_act(inputs, outputs, 1, leak=_LEAK),
    )


class MobileNet025(nn.Module):
    """MobileNet v1 at a quarter of its width, without its classifier."""

    channels = (64, 128, 256)
    """Of the maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            nn.Sequential(*_conv_norm_act(3, 8, 3, 2, _LEAK)),
            *(_separable(i, o, s) for i, o, s in ((8, 16, 1), (16, 32, 2), (32, 32, 1))),
            *(_separable(i, o, s) for i, o, s in ((32, 64, 2), (64, 64, 1))),
        )
        self.stage2 = nn.Sequential(
            _separable(64, 128, 2), *(_separable(128, 128, 1) for _ in range(5))
        )
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps at strides 8, 16, 32 of float (B, 3, H, W)."""
        fine = self.stage1(images)
        middle = self.stage2(fine)
        return [fine, middle, self.stage3(middle)]


class Bottleneck(nn.Module):
    """ResNet's 1x1, 3x3, 1x1 block; the 3x3 convolution carries the stride."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1, self.bn1 = _conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = _conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(*_conv_norm(inputs, outputs, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Float (B, inputs, H, W) to (B, 4 width, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu_(self.bn1(self.conv1(x)))
        y = torch.relu_(self.bn2(self.conv2(y)))
        return torch.relu_(self.bn3(self.conv3(y)) + shortcut)


class ResNet50(nn.Module):
    """ResNet-50 without its classifier."""

    channels = (512, 1024, 2048)
    """Of the maps at strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._layer(64, 64, 3, 1)
        self.layer2 = self._layer(256, 128, 4, 2)
        self.layer3 = self._layer(512, 256, 6, 2)
        self.layer4 = self._layer(1024, 512, 3, 2)

    @staticmethod
    def _layer(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        wide = width * Bottleneck.expansion
        rest = (Bottleneck(wide, width, 1) for _ in range(blocks - 1))
        return nn.Sequential(Bottleneck(inputs, width, stride), *rest)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps at strides 8, 16, 32 of float (B, 3, H, W)."""
        x = self.maxpool(torch.relu_(self.bn1(self.conv1(images))))
        fine = self.layer2(self.layer1(x))
        middle = self.layer3(fine)
        return [fine, middle, self.layer4(middle)]


_BACKBONES: dict[str, tuple[type[MobileNet025] | type[ResNet50], int, float]] = {
    "mobilenet0.25": (MobileNet025, 64, _LEAK),
    "resnet50": (ResNet50, 256, 0.0),
}
"""Backbone, width of everything after it, slope of its activations."""


class FeaturePyramid(nn.Module):
    """Brings three maps to one width and adds the coarser ones to the finer ones."""

    def __init__(self, inputs: Sequence[int], width: int, leak: float) -> None:
        super().__init__()
        self.output1 = nn.Sequential(*_conv_norm_act(inputs[0], width, 1, leak=leak))
        self.output2 = nn.Sequential(*_conv_norm_act(inputs[1], width, 1, leak=leak))
        self.output3 = nn.Sequential(*_conv_norm_act(inputs[2], width, 1, leak=leak))
        self.merge1 = nn.Sequential(*_conv_norm_act(width, width, 3, leak=leak))
        self.merge2 = nn.Sequential(*_conv_norm_act(width, width, 3, leak=leak))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Three maps at strides 8, 16, 32, each (B, width, h, w)."""
        fine, middle, coarse = self.output1(maps[0]), self.output2(maps[1]), self.output3(maps[2])
        middle = self.merge2(middle + _enlarge(coarse, middle))
        fine = self.merge1(fine + _enlarge(middle, fine))
        return [fine, middle, coarse]


def _enlarge(small: Tensor, like: Tensor) -> Tensor:
    return nn.functional.interpolate(small, size=like.shape[2:], mode="nearest")


class ContextModule(nn.Module):
    """SSH (Najibi et al. 2017): fields of 3, 5 and 7 px side by side."""

    def __init__(self, width: int, leak: float) -> None:
        super().__init__()
        half, quarter = width // 2, width // 4
        self.conv3X3 = nn.Sequential(*_conv_norm(width, half, 3))
        self.conv5X5_1 = nn.Sequential(*_conv_norm_act(width, quarter, 3, leak=leak))
        self.conv5X5_2 = nn.Sequential(*_conv_norm(quarter, quarter, 3))
        self.conv7X7_2 = nn.Sequential(*_conv_norm_act(quarter, quarter, 3, leak=leak))
        self.conv7x7_3 = nn.Sequential(*_conv_norm(quarter, quarter, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Float (B, width, h, w) to the same shape."""
        shared = self.conv5X5_1(x)
        fields = [self.conv3X3(x), self.conv5X5_2(shared), self.conv7x7_3(self.conv7X7_2(shared))]
        return torch.relu_(torch.cat(fields, dim=1))


class Head(nn.Module):
    """One 1x1 convolution that predicts ``values`` numbers per prior."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(width, len(PRIOR_SIDES_PX[0]) * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Float (B, width, h, w) to (B, priors of the level, values)."""
        return (
            cast(Tensor, self.conv1x1(x)).permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.values)
        )


class RetinaFace(nn.Module):
    """The network: BGR images less :data:`MEAN_BGR` to face scores, box and landmark offsets.

    Args:
        backbone: ``mobilenet0.25`` (426,608 parameters) or ``resnet50`` (27,293,600).
    """

    def __init__(self, backbone: str) -> None:
        super().__init__()
        body, width, leak = _BACKBONES[backbone]
        self.body = body()
        self.fpn = FeaturePyramid(self.body.channels, width, leak)
        self.ssh1 = ContextModule(width, leak)
        self.ssh2 = ContextModule(width, leak)
        self.ssh3 = ContextModule(width, leak)
        # Named as in the public checkpoints.
        self.ClassHead = nn.ModuleList(Head(width, 2) for _ in STRIDES_PX)
        self.BboxHead = nn.ModuleList(Head(width, 4) for _ in STRIDES_PX)
        self.LandmarkHead = nn.ModuleList(Head(width, 10) for _ in STRIDES_PX)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (B, P), box offsets (B, P, 4), landmark offsets (B, P, 10) of (B, 3, H, W).

        P counts the priors of :func:`priors` for H x W, in the same order. Scores are in [0, 1].
        """
        maps = self.fpn(self.body(images))
        maps = [ssh(m) for ssh, m in zip((self.ssh1, self.ssh2, self.ssh3), maps, strict=True)]
        logits, boxes, points = (
            torch.cat([head(m) for head, m in zip(heads, maps, strict=True)], dim=1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return logits.softmax(dim=-1)[..., 1], boxes, points


@functools.lru_cache(maxsize=64)
def priors(height_px: int, width_px: int) -> NDArray[np.float32]:
    """float32 (P, 3): centre x, centre y and side in px of every prior, in the network's order."""
    levels = []
    for stride, sides in zip(STRIDES_PX, PRIOR_SIDES_PX, strict=True):
        rows, columns = -(-height_px // stride), -(-width_px // stride)
        y, x, side = np.meshgrid(
            (np.arange(rows) + 0.5) * stride,
            (np.arange(columns) + 0.5) * stride,
            sides,
            indexing="ij",
        )  # each (rows, columns, 2)
        levels.append(np.stack([x, y, side], axis=-1).reshape(-1, 3))
    return np.concatenate(levels).astype(np.float32)


def decode(
    offsets: NDArray[np.float32], points: NDArray[np.float32], anchors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes and landmarks in px.

    Args:
        offsets: float32 (N, 4), the network's box offsets.
        points: float32 (N, 10), its landmark offsets.
        anchors: float32 (N, 3), their priors.

    Returns:
        Boxes x1, y1, x2, y2, float32 (N, 4), and landmarks x, y, x, y …, float32 (N, 10).
    """
    centres, sides = anchors[:, :2], anchors[:, 2:]  # (N, 2), (N, 1)
    middle = centres + offsets[:, :2] * CENTRE_VARIANCE * sides  # (N, 2)
    half = np.exp(offsets[:, 2:] * SIZE_VARIANCE) * sides / 2  # (N, 2)
    moved = np.tile(centres, 5) + points * CENTRE_VARIANCE * sides  # (N, 10)
    return np.concatenate([middle - half, middle + half], axis=1), moved


class RetinaFaceDetector:
    """RetinaFace on images of any sizes; those of one size are worked together.

    ``input_size_px``: ``full`` = as decoded; a number = the longer side is brought to it, enlarged
    where it was smaller; faces larger there than the largest prior, 512 px, come out in parts or
    not at all. ``auto`` avoids that: images longer than 512 px are looked at small first, and
    then at the size, at most :data:`AUTO_LARGE_PX`, at which the largest face seen fits that prior.
    """

    def __init__(self, model: RetinaFace, params: FacesParams) -> None:
        self.device = torch.device(params.provider)
        self.model = model.eval().to(self.device)
        self.input_size_px = params.input_size_px
        self.lowest_score = lowest_score(params.score_threshold)
        # On a CPU, batches are slower and change the last bits of the scores.
        self.batch = CUDA_BATCH if params.provider == "cuda" else 1

    def candidates(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of uint8 (H, W, 3) RGB images, from all sizes, in their px."""
        longer = [max(image.shape[:2]) for image in images]
        if self.input_size_px == "full":
            return self._at_sides(images, longer)
        if self.input_size_px != "auto":
            return self._at_sides(images, [int(self.input_size_px)] * len(images))
        largest = PRIOR_SIDES_PX[-1][-1]
        found = self._at_sides(images, [n if n <= largest else AUTO_SMALL_PX for n in longer])
        again = [i for i, n in enumerate(longer) if n > largest]
        sides = [_large_side(longer[i], found[i].boxes) for i in again]
        for i, more in zip(again, self._at_sides([images[i] for i in again], sides), strict=True):
            found[i] = merge([found[i], more])
        return found

    def _at_sides(self, images: Sequence[Image], sides_px: Sequence[int]) -> list[Candidates]:
        """Candidates of each image with its longer side brought to its size."""
        sized = [resize_longer_side(*pair) for pair in zip(images, sides_px, strict=True)]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for i, (image, _, _) in enumerate(sized):
            by_shape.setdefault(image.shape, []).append(i)
        found: dict[int, Candidates] = {}
        for places in by_shape.values():
            for start in range(0, len(places), self.batch):
                batch = places[start : start + self.batch]
                found |= zip(batch, self._forward([sized[i][0] for i in batch]), strict=True)
        return [found[i].scaled(1 / x, 1 / y) for i, (_, x, y) in enumerate(sized)]

    def _forward(self, images: Sequence[Image]) -> list[Candidates]:
        """Candidates of images of one size."""
        blob = cv2.dnn.blobFromImages(images, mean=MEAN_BGR, swapRB=True)  # (B, 3, H, W)
        # cuDNN may otherwise pick another algorithm, or TF32, from one run to the next.
        exact = torch.backends.cudnn.flags(deterministic=True, benchmark=False, allow_tf32=False)
        with exact, torch.inference_mode():
            outputs = self.model(torch.from_numpy(blob).to(self.device))
            scores, boxes, points = (t.cpu().numpy() for t in outputs)
        anchors = priors(*images[0].shape[:2])  # (P, 3)
        found = []
        for one in range(len(images)):
            likely = np.flatnonzero(scores[one] >= self.lowest_score)
            placed, moved = decode(boxes[one][likely], points[one][likely], anchors[likely])
            sure = scores[one][likely].astype(np.float64)
            found.append(Candidates(placed.astype(np.float64), sure, moved.astype(np.float64)))
        return found


def _large_side(longer_px: int, boxes: Floats) -> int:
    """Longer side of ``auto``'s second look at an image, given the boxes of the first."""
    largest_px = np.round((boxes[:, 2:] - boxes[:, :2]).max(initial=1))
    fitting = int(longer_px * PRIOR_SIDES_PX[-1][-1] // largest_px)
    return max(AUTO_SMALL_PX, min(longer_px, AUTO_LARGE_PX, fitting))


def make(params: FacesParams) -> RetinaFaceDetector:
    """Loads the network that the parameters name.

    Raises:
        UserError: the checkpoint is missing, another one or of another backbone, or ``cuda`` is
            asked for and not there.
    """
    if params.provider == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "faces.provider is cuda, but torch finds no CUDA device. Install a CUDA build of torch "
            "on a machine with a GPU, or set faces.provider to cpu."
        )
    path = weights_file(params)
    if path is None:
        raise ValueError(f"make() of retinaface called for the detector {params.detector}")
    model = RetinaFace(params.backbone)
    weights.load_into(
        model,
        path,
        f"RetinaFace with faces.backbone {params.backbone}",
        "Set faces.backbone to the backbone the file was trained with.",
    )
    return RetinaFaceDetector(model, params)
