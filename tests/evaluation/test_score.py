"""Scores against models whose answer is known, and pictures read by another library."""

import io
import tarfile

import numpy as np
import PIL.Image
import pytest
import torch

from faceshards.reading import Shards
from faceshards.samples import Samples
from pipeline import models
from pipeline.config.objectives import MetricLearningParams
from pipeline.config.run_params import ModelParams, RunParams
from pipeline.errors import UserError
from pipeline.evaluation.score import load_run, score_faces
from pipeline.labels import semantics
from pipeline.models.base import Classifier, Normalisation, Outputs
from pipeline.training import checkpoint, run_folder
from pipeline.training.data import Faces, normalised
from tests.shards.made import SEMANTICS
from tests.training import made as made_in_training

CPU = torch.device("cpu")
SIDE_PX = 224
"""Of the made faces: nothing is resized."""


class Brightness(Classifier):
    """Calls a face fake by how bright it is; knows nothing of other faces."""

    def __init__(self):
        super().__init__(SIDE_PX, Normalisation((0.5, 0.4, 0.3), (0.1, 0.2, 0.4), "made up"))

    def forward(self, images):
        shape = (1, 3, 1, 1)
        pixels = images * self.pixel_std.reshape(shape) + self.pixel_mean.reshape(shape)
        return Outputs(pixels.mean(dim=(1, 2, 3)), pixels)

    def fake_log_odds(self, outputs):
        return outputs.logits.double().logit()


class Broken(Brightness):
    def fake_log_odds(self, outputs):
        return outputs.logits * torch.nan


def _graph():
    return semantics.load(SEMANTICS).graph("ffpp")


def _brightness_by_pillow(folder):
    """Mean of all pixels by face id, with tarfile and Pillow alone."""
    keys = dict(Shards(folder).index.select(["key", "face_id"]).to_pandas().itertuples(index=False))
    found = {}
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as tar:
            for member in tar.getmembers():
                key, _, extension = member.name.partition(".")
                if extension == "jpg":
                    picture = PIL.Image.open(io.BytesIO(tar.extractfile(member).read()))
                    found[keys[key]] = np.asarray(picture).mean() / 255
    return found


def test_every_face_gets_the_score_of_its_own_picture(shards):
    expected = _brightness_by_pillow(shards / "test")
    assert len(expected) == 8
    assert np.ptp(list(expected.values())) > 0.05
    table = score_faces(Brightness().eval(), Shards(shards / "test"), "", 3, CPU)
    rows = table.to_pylist()
    assert [row["face_id"] for row in rows] == sorted(expected)
    for row in rows:
        # The two libraries' JPEG decoders may differ by a level here and there.
        assert row["score"] == pytest.approx(expected[row["face_id"]], abs=2e-4)
        assert row["score"] == pytest.approx(1 / (1 + np.exp(-row["log_odds"])), abs=1e-12)
        assert row["face_id"].startswith(row["video_id"])
        assert row["video_id"].startswith(f"{row['dataset']}/{row['method']}/")
        assert (row["split"], row["label"]) == ("test", int(row["method"] != "real"))
        assert (row["graph"], row["node_probabilities"]) == ("", [])


def test_a_folder_without_faces_gives_an_empty_table(tmp_path):
    part = Shards(made_in_training.shards(tmp_path, "test", []))
    assert score_faces(Brightness().eval(), part, "", 3, CPU).num_rows == 0


@pytest.mark.parametrize("architecture", ["vit", "joint_embedding"])
def test_neither_batch_size_nor_repetition_matters(shards, architecture):
    graph = _graph() if architecture == "joint_embedding" else None
    model = models.build(ModelParams(architecture, "tiny"), graph, seed=3).eval()
    part = Shards(shards / "val")
    one, three, again = (score_faces(model, part, "", size, CPU) for size in (1, 3, 3))
    assert three.equals(again)
    scores = [table.column("score").to_numpy() for table in (one, three)]
    assert np.ptp(scores[0]) > 1e-5
    np.testing.assert_allclose(*scores, atol=2e-6)


def test_a_joint_embedding_tells_about_every_node(shards):
    graph = _graph()
    model = models.build(ModelParams("joint_embedding", "tiny"), graph, seed=3).eval()
    rows = score_faces(model, Shards(shards / "val"), "ffpp", 4, CPU).to_pylist()
    assert {row["graph"] for row in rows} == {"ffpp"}
    for row in rows:
        nodes = row["node_probabilities"]
        assert len(nodes) == len(graph.nodes)
        assert nodes[0] == pytest.approx(row["score"], abs=1e-12)
        # No node can be altered where the face is not.
        assert max(nodes) == nodes[0]


def test_an_output_that_is_not_a_number_is_refused(shards):
    with pytest.raises(UserError, match=r"not a number.*learning_rate"):
        score_faces(Broken().eval(), Shards(shards / "val"), "", 4, CPU)


def test_load_run_gives_the_weights_back_and_refuses_other_parameters(tmp_path, shards):
    run = RunParams(ModelParams("vit", "tiny"), MetricLearningParams("metric_learning"), "train")
    trained = models.build(run.model, None, seed=5).eval()
    digest = checkpoint.run_digest("mine", run, 0, 1, None)
    state = {
        "run_digest": digest,
        "epoch": 1,
        "model": trained.state_dict(),
        "classes": ["real", "fake"],
    }
    checkpoint.save(tmp_path / run_folder.BEST, state)
    loaded = load_run(tmp_path, "mine", run, 0, 1, None)
    assert not loaded.training
    part = Shards(shards / "val")
    assert score_faces(loaded, part, "", 4, CPU).equals(score_faces(trained, part, "", 4, CPU))
    for name, seed, version in (("other", 0, 1), ("mine", 1, 1), ("mine", 0, 2)):
        with pytest.raises(UserError, match=rf"trained with other.*--force .*train@{name}"):
            load_run(tmp_path, name, run, seed, version, None)
    with pytest.raises(UserError, match="does not exist"):
        load_run(tmp_path / "absent", "mine", run, 0, 1, None)


def test_a_run_with_attribution_is_scored_by_the_sum_of_its_fakes(tmp_path, shards):
    objective = MetricLearningParams("metric_learning", attribution="dataset")
    run = RunParams(ModelParams("vit", "tiny"), objective, "train")
    trained = models.build(run.model, None, seed=5, classes=4).eval()
    with torch.no_grad():  # logits far enough apart that the sum is told from any one class
        trained.head.weight.mul_(1e4)
    state = {"run_digest": checkpoint.run_digest("mine", run, 0, 1, None), "epoch": 1}
    state |= {"model": trained.state_dict(), "classes": ["real", "a", "b", "c"]}
    checkpoint.save(tmp_path / run_folder.BEST, state)
    loaded = load_run(tmp_path, "mine", run, 0, 1, None)
    table = score_faces(loaded, Shards(shards / "val"), "", 4, CPU)
    faces = Faces(Samples([shards / "val"], size_px=trained.image_px))
    images = next(faces.batches(faces.in_order(1000))).images
    with torch.no_grad():
        logits = trained(normalised(images, trained.mean, trained.std)).logits.double().numpy()
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert (shares[:, 1:].sum(axis=1) - shares[:, 1:].max(axis=1)).min() > 0.01
    ids = Shards(shards / "val").index.column("face_id").to_pylist()
    expected = dict(zip(ids, 1 - shares[:, 0], strict=True))
    for row in table.to_pylist():
        assert row["score"] == pytest.approx(expected[row["face_id"]], abs=2e-6)
