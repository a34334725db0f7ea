"""Pictures of labels: well-formed, and they show the numbers that they are given."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest

from pipeline import models
from pipeline.evaluation import label_figures
from tests.models import made
from tests.models.made import FFPP

JOINT = models.build(made.params("joint_embedding", "tiny"), FFPP).eval()


def _texts(svg):
    root = ET.fromstring(svg)  # noqa: S314 - it was made a line before
    assert root.tag.endswith("svg")
    return [one.text for one in root.iter() if one.tag.endswith("text")]


def test_similarity_is_the_cosine_of_the_texts():
    found = JOINT.label_similarity()
    texts = JOINT.label_embeddings().detach().double().numpy()
    for i, j in ((0, 1), (4, 9)):
        cosine = texts[i] @ texts[j] / np.linalg.norm(texts[i]) / np.linalg.norm(texts[j])
        assert found[i, j] == pytest.approx(cosine, rel=1e-9)
    assert np.diag(found) == pytest.approx(np.ones(10))


def test_two_heat_maps_stand_side_by_side():
    before, after = np.full((2, 2), 0.25), np.array([[1.0, -0.5], [-0.5, 1.0]])
    texts = _texts(label_figures.similarity_svg(("face", "a<b"), before, after))
    assert texts.count("0.25") == 4
    assert texts.count("-0.50") == 2
    assert texts.count("a<b") == 4  # beside and below each map
    assert {"before training", "after training"} <= set(texts)


def _faces():
    rows = [
        ("ffpp", "real", 0, [0.1] * 10),
        ("ffpp", "Deepfakes", 1, [0.9] * 10),
        ("ffpp", "Deepfakes", 1, [0.7] * 10),
    ]
    names = ("dataset", "method", "label", "node_probabilities")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def test_kinds_of_faces_are_drawn_on_the_graph_reals_first():
    kinds = label_figures.by_kind(_faces())
    assert list(kinds) == ["ffpp, real (1 faces)", "ffpp, Deepfakes (2 faces)"]
    assert kinds["ffpp, Deepfakes (2 faces)"] == pytest.approx([0.8] * 10)
    svg = label_figures.graphs_svg(FFPP, kinds)
    texts = _texts(svg)
    assert texts.count("0.10") == texts.count("0.80") == 10
    assert len(re.findall("<line ", svg)) == 2 * len(FFPP.edges)


def test_a_run_without_texts_has_no_similarity():
    drawn = label_figures.of_run(JOINT, FFPP, JOINT.label_similarity().tolist(), _faces())
    assert list(drawn) == ["label_similarity.svg", "label_graph.svg"]
    assert list(label_figures.of_run(JOINT, FFPP, [], _faces())) == ["label_graph.svg"]
    assert not label_figures.of_run(JOINT, FFPP, [], _faces().slice(0, 0))
