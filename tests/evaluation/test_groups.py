"""Groups hold the videos that their names say."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.evaluation import groups, nodes
from pipeline.evaluation.measures import Rules
from pipeline.labels.semantics import Graph
from tests.evaluation import made
from tests.evaluation.test_measures import sample

GRAPH = Graph("small", ("face", "identity", "eye"), ((0, 1), (1, 2)), ("a", "b", "c"))
RULES = Rules(resamples=20)


def known():
    """60 videos, every third of them real, with made sizes, sharpness and labels."""
    faces, videos = sample()
    n = videos.num_rows
    fake = videos.column("label").to_numpy() == 1
    place = np.arange(n)
    columns = {
        "face_px": np.where(place < 2, -1.0, 40.0 + 5 * place),
        "sharpness": place.astype(float),
        "brightness": np.full(n, -1.0),
        "altered face": fake.astype(np.int8),
        "altered identity": np.where(fake & (place % 2 > 0), 1, np.where(fake, -1, 0)),
        "altered eye": np.where(fake & (place % 4 > 0), 1, 0),
    }
    for name, values in columns.items():
        videos = videos.append_column(name, pa.array(values))
    at = videos.schema.get_field_index("compression")
    return faces, videos.set_column(at, "compression", pa.array(["c23", "c40"] * (n // 2)))


def test_members_are_what_the_names_say():
    _, videos = known()
    found = {(g.kind, g.name): g.members for g in groups.groups(videos, GRAPH)}
    real = videos.column("label").to_numpy() == 0
    assert {kind for kind, _ in found} == {
        *("category", "attribute", "region", "compression", "face_size", "sharpness"),
    }
    assert found["category", "FS"].all()
    altered = videos.column("altered identity").to_numpy() == 1
    assert (found["attribute", "identity"] == (real | altered)).all()
    assert (found["region", "eye"] == (real | (videos.column("altered eye").to_numpy() == 1))).all()
    assert found["compression", "c40"].tolist() == [False, True] * 30
    px = videos.column("face_px").to_numpy()
    sizes = {name: px[members] for (kind, name), members in found.items() if kind == "face_size"}
    assert sum(map(len, sizes.values())) == 58
    assert (sizes["under_64_px"].max(), sizes["from_64_px"].min()) == (60, 65)
    assert (sizes["from_128_px"].min(), sizes["from_256_px"].min()) == (130, 260)
    thirds = [found["sharpness", name].sum() for name in groups.THIRDS]
    assert thirds == [20, 20, 20]


def test_groups_are_measured_and_small_ones_are_not():
    faces, videos = known()
    found = groups.measured(groups.groups(videos), faces, videos, RULES, least=8)
    c23 = videos.filter(pa.array(np.arange(60) % 2 == 0))
    labels, scores = (c23.column(name).to_numpy() for name in ("label", "score"))
    numbers = found["compression"]["c23"]
    assert numbers["video_auc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-9)
    assert numbers["faces_real"] + numbers["faces_fake"] == sum(c23.column("faces").to_pylist())
    small = found["face_size"]["under_64_px"]
    assert small["too_few"] == 1
    assert "video_auc" not in small
    assert small["coverage"] == 1


def test_a_table_of_the_users_names_groups():
    _, videos = known()
    ids = videos.column("video_id").to_pylist()
    value_of = {ids[0]: "women", ids[5]: "men", ids[7]: "women", ids[9]: ""}
    found = {
        g.name: np.flatnonzero(g.members).tolist() for g in groups.joined(videos, "x", value_of)
    }
    assert found == {"men": [5], "women": [0, 7]}


def test_nodes_are_measured_where_their_labels_are_observed():
    faces, videos = known()
    row = {name: i for i, name in enumerate(videos.column("video_id").to_pylist())}
    draw = np.random.default_rng(0)
    table = draw.uniform(size=(faces.num_rows, 3))
    column = pa.array(table.tolist(), pa.list_(pa.float64()))
    at = faces.schema.get_field_index("node_probabilities")
    faces = faces.set_column(at, faces.schema.field(at), column)
    found = nodes.table(faces, videos, GRAPH)
    rows = np.array([row[name] for name in faces.column("video_id").to_pylist()])
    for place, node in enumerate(GRAPH.nodes):
        means = np.array([table[rows == i, place].mean() for i in range(60)])
        labels = videos.column(f"altered {node}").to_numpy()
        observed = labels >= 0
        wanted = roc_auc_score(labels[observed], means[observed])
        assert found[node]["video_auc"] == pytest.approx(wanted, abs=1e-9)
        assert found[node]["videos_altered"] == (labels == 1).sum()
    assert nodes.table(made.faces([]), videos, GRAPH) == {}
