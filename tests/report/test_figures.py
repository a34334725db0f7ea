"""Pictures of runs on the page."""

import base64
from dataclasses import replace

from pipeline.report.figures import MAX_BYTES, figures, losses_beside
from pipeline.report.runs import charts, columns
from tests.training import made


def test_pictures_that_are_there_become_addresses_of_their_own(tmp_path):
    assert figures(tmp_path) == ()
    (tmp_path / "label_graph.svg").write_text("<svg/>")
    (one,) = figures(tmp_path)
    assert base64.b64decode(one.uri.removeprefix("data:image/svg+xml;base64,")) == b"<svg/>"
    (tmp_path / "label_similarity.svg").write_bytes(b" " * (MAX_BYTES + 1))
    assert figures(tmp_path) == (one,)


def test_two_kinds_of_losses_stand_beside_each_other():
    fidelity, vit = made.sjedd(), made.metric_learning()
    entropy = replace(fidelity, objective=replace(fidelity.objective, loss="cross_entropy"))
    runs = {"a": fidelity, "b": entropy, "c": entropy, "d": vit}
    trained = {name: {"train_root": [(1.0, 0.5), (2.0, 0.25)]} for name in runs}
    chart = losses_beside(runs, trained)
    assert chart is not None
    assert [line.name for line in chart.lines] == ["fidelity (a)", "cross-entropy (b)"]
    assert losses_beside({"a": fidelity, "d": vit}, trained) is None
    assert losses_beside(runs, {}) is None


def test_weights_of_losses_share_a_chart_that_comes_last(tmp_path):
    history = tmp_path / "a.csv"
    history.write_text(
        "epoch,train_root,val_root,weight_root,weight_local_regions\n1,1,2,1,1\n2,1,1,0.5,1.5\n"
    )
    assert columns(history)["weight_root"] == [(1.0, 1.0), (2.0, 0.5)]
    root, weights = charts(history)
    assert (root.title, weights.title) == ("root", "weights of the losses")
    assert [line.name for line in weights.lines] == ["root", "local regions"]
