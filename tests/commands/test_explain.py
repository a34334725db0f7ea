"""``faceshards explain-sample`` on a small project."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from faceshards import images, keys, tar
from pipeline import tables
from pipeline.commands.explain import explain
from pipeline.commands.main import main
from pipeline.config.params import ExpandParams
from pipeline.errors import UserError
from pipeline.expansion.expand import SwapTask
from tests.expansion.faces import crops, points
from tests.shards.made import _face

IDS = {"target": "ffpp/real/a/00000-0", "source": "ffpp/Deepfakes/b_c/00000-0"}
PARAMS = ExpandParams(max_color_gap=0, max_sharpness_gap=0, max_gain="none", align="piecewise")
SAMPLES = {
    "swap": ("eye", "ffpp/swap_eye/a/00000-0-0"),
    "xray": ("face", "ffpp/xray_face/a/00000-0-0"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two faces, a swap and a whole face made by the stage's own work, and a reject."""
    store = tmp_path / "data/stores/faces"
    store.mkdir(parents=True)
    faces, landmarks, inputs = [], [], {}
    with (store / "p.tar").open("w+b") as file:
        for (role, face), image, moved in zip(IDS.items(), crops(), (0, 4), strict=True):
            data = images.encode_png(image)
            offset, size = tar.append(file, f"{role}.png", data)
            where = {"digest": keys.digest128(data), "tar": "p.tar", "offset": offset, "size": size}
            given = (points() + moved).astype(np.float32).ravel().tolist()
            faces.append(_face(face, face[:-8], 0) | {"encoding": "png"} | where)
            landmarks.append({"face_id": face, "points": given, "score": -1.0})
            inputs |= {f"{role}_{name}": value for name, value in where.items()}
            inputs |= {f"{role}_points": given, f"{role}_tar": str(store / "p.tar")}
        tar.finish(file)
    rows = [_row(inputs, generator, *named) for generator, named in SAMPLES.items()]
    reject = {"id": "ffpp/swap_nose/a/00000-0-0", "reason": "odd_colors", "detail": "too odd"}
    for path, name, content in (
        ("faces", "faces", faces),
        ("landmarks", "landmarks", landmarks),
        ("expanded", "expanded", rows),
        ("rejected/expand", "rejected", [reject]),
    ):
        tables.write(tmp_path / f"manifests/{path}.parquet", name, tables.from_rows(name, content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _row(inputs: dict[str, Any], generator: str, region: str, sample_id: str) -> dict[str, Any]:
    chosen = {"generator": generator, "region": region, "align": PARAMS.align}
    (output,) = SwapTask(PARAMS).work(inputs | chosen).outputs
    image, mask = (keys.digest128(member.data) for member in output.members)
    stored = {"tar": "e.tar", "offset": 512, "size": 1, "mask_offset": 2048, "mask_size": 1}
    named = {f"{role}_face_id": face for role, face in IDS.items()} | {"source_method": "Deepfakes"}
    return {
        **output.fields,
        **named,
        **stored,
        "sample_id": sample_id,
        "digest": image,
        "mask_digest": mask,
    }


@pytest.mark.parametrize("generator", SAMPLES)
def test_a_sample_is_made_again_byte_for_byte(project: Path, generator: str) -> None:
    region, sample_id = SAMPLES[generator]
    for key in (sample_id, keys.encode_id(sample_id), f"{keys.encode_id(sample_id)}.jpg"):
        found = explain(key, project)
        assert found.same
        assert sample_id in found.text
        assert "same bytes" in found.text
    for word in (region, "piecewise", "Deepfakes", *IDS.values()):
        assert word in found.text
    # Target, source, mask and result, each in its place.
    cells = np.split(found.strip, 4, axis=1)
    parts = [cell[8:232, 8:232] for cell in cells]
    for part, crop in zip(parts, crops(), strict=False):
        assert np.array_equal(part, crop)
    mask, result = parts[2][..., 0], parts[3]
    assert mask.max() == 255
    assert np.array_equal(result[mask == 0], crops()[0][mask == 0])
    assert not np.array_equal(result, crops()[0])


def test_the_command_draws_and_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample_id = SAMPLES["swap"][1]
    assert main(["explain-sample", sample_id, "--out", "strip.png"]) == 0
    assert "side by side in strip.png" in capsys.readouterr().out
    drawn = cv2.imread(str(project / "strip.png"))[:, :, ::-1]
    assert np.array_equal(drawn, explain(sample_id, project).strip)


def test_other_bytes_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "manifests/expanded.parquet"
    rows = tables.read(path, "expanded").to_pylist()
    rows[0]["color"] = "none"
    tables.write(path, "expanded", tables.from_rows("expanded", rows))
    assert main(["explain-sample", rows[0]["sample_id"]]) == 1
    assert "other bytes than those stored" in capsys.readouterr().out
    assert main(["explain-sample", rows[1]["sample_id"]]) == 0


def test_what_is_not_there_is_said(project: Path) -> None:
    with pytest.raises(
        UserError, match=r"No expanded sample .* 'ffpp/nothing'.* like ffpp/swap_eye"
    ):
        explain("ffpp/nothing", project)
    with pytest.raises(UserError, match=r"planned and rejected: odd_colors, too odd"):
        explain("ffpp/swap_nose/a/00000-0-0", project)
    (project / "data/stores/faces/p.tar").unlink()
    with pytest.raises(UserError, match=r"p\.tar is not there\. The stage faces"):
        explain(SAMPLES["swap"][1], project)
