"""Faces turned upright, 68 points by FAN's procedure, and regions swapped between them."""

import numpy as np
import torch

from faceshards import images, keys, tar
from pipeline.config.params import ExpandParams, LandmarksParams
from pipeline.expansion.expand import SwapTask
from pipeline.expansion.plan import expansion_plan
from pipeline.faces.align import align
from pipeline.faces.boxes import tight_box
from pipeline.faces.crop import boxes_in_crop, frame_to_crop, map_points
from pipeline.faces.detect import make_detector
from pipeline.faces.fan import MAP_PX, MIRRORED, TIGHT_PX, FanLandmarker, square
from pipeline.faces.landmarks import DlibLandmarker, LandmarksTask
from pipeline.tables.sources import Held
from tests.expansion.test_plan import World
from tests.faces import real_images

CLIPS = ["videos/real/lp_d18.mp4", "videos/real/vr_face1_vfr.mp4"]


class Maps(torch.nn.Module):
    """Gives maps of known peaks, and those of the mirror image at every other call."""

    def __init__(self, places: np.ndarray) -> None:
        super().__init__()
        x, y = (torch.from_numpy(places[:, at]).float()[:, None, None] for at in (0, 1))
        pixel = torch.arange(MAP_PX, dtype=torch.float32)
        self.plain = torch.exp(-((pixel - x) ** 2 + (pixel[:, None] - y) ** 2) / 4)  # (68, 64, 64)
        self.calls = 0

    def forward(self, _: torch.Tensor) -> list[torch.Tensor]:
        self.calls += 1
        turned = self.plain[list(MIRRORED)].flip(2)
        return [(self.plain if self.calls % 2 else turned)[None]]


def test_upright_crops_get_fans_points_and_are_swapped_as_they_lie(assets, tmp_path):
    detector, dlib = make_detector(real_images.scrfd(assets)), DlibLandmarker()
    task = LandmarksTask(LandmarksParams(landmarker="fan"))
    world = World(persons=2, faces_each=1)
    with (tmp_path / "p.tar").open("w+b") as file:
        for clip, person in zip(CLIPS, ("000", "001"), strict=True):
            frame = real_images.images(assets, clip, 1)[0]
            face = detector.detect(frame)[0]
            cut = align(frame, face.landmarks5, size_px=224, margin=0.3)
            data = images.encode_png(cut.image)
            offset, size = tar.append(file, f"{person}.png", data)
            stored = {"tar": "p.tar", "offset": offset, "size": size}
            stored["digest"] = keys.digest128(data)
            box = boxes_in_crop(face.box, cut.affine)[0].tolist()
            expected = dlib.points(cut.image, box, "scrfd")[0]
            window = square(tight_box(box, "scrfd"), TIGHT_PX)
            fan = object.__new__(FanLandmarker)  # its official weights are 95 MB
            fan._provider = "cpu"
            fan._network = Maps(map_points(frame_to_crop(window, MAP_PX), expected))
            task._landmarker = fan
            where = {**stored, "tar": str(tmp_path / "p.tar")}
            (found,) = task.work({**where, "box_in_crop": box, "detector": "scrfd"}).outputs
            points = np.reshape(found.fields["points"], (68, 2))
            assert np.abs(points - expected).max() <= 0.5 * window.width / MAP_PX
            face_id = f"ffpp/real/{person}/00000-0"
            for table, changes in (("faces", stored), ("landmarks", found.fields)):
                row = next(row for row in world.rows[table] if row["face_id"] == face_id)
                row.update(changes)
        tar.finish(file)
    params = ExpandParams(
        datasets=("ffpp",), source_methods=("real",), regions=("eye", "nose"), per_region=2
    )
    held = [Held(world.table(n)) for n in ("videos", "faces", "samples", "landmarks")]
    planned = expansion_plan(*held, params, 0, ("ffpp",), {"ffpp"}, tmp_path)
    rows = planned.plan.table.to_pylist()
    assert planned.notes == []
    assert len(rows) == 4
    for row in rows:
        (output,) = SwapTask(params).work(row).outputs
        assert output.fields["align"] == "none"
        assert output.fields["source_affine"] == [1, 0, 0, 0, 1, 0]
        altered, mask = (
            images.decode_rgb(output.members[0].data),
            images.decode_grey(output.members[1].data),
        )
        with (tmp_path / "p.tar").open("rb") as file:
            file.seek(row["target_offset"])
            target = images.decode_rgb(file.read(row["target_size"]))
        assert np.array_equal(altered[mask == 0], target[mask == 0])
        assert output.fields["change"] > params.min_change
