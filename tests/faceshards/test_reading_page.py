"""docs/reading.md, run as it is written."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reading.md"


def test_its_snippets_run_one_after_the_other(shards):
    page = PAGE.read_text().partition("## A whole trainer")[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    # The made folders are smaller, and their only fakes with that name are Deepfakes.
    for theirs, made in (
        ("data/shards", str(shards)),
        ("https://example.org/shards", str(shards)),
        ("n_ranks=1, workers=2)", "n_ranks=1)"),
        ("batch_size=32", "batch_size=4"),
        (', "FaceSwap"', ","),
    ):
        assert theirs in code
        code = code.replace(theirs, made)
    names = {}
    exec(code, names)  # noqa: S102 - the project's own page
    assert names["batch"]["images"].shape == (4, 224, 224, 3)
    assert names["epoch"] == 2
    assert 0 < len(names["some"]) < len(names["samples"])


def test_its_trainer_learns_what_it_is_shown(shards, capsys):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    assert "pixels(batch)" in code
    names = {}
    code = code.replace("data/shards/val", "data/shards/train").replace("range(20)", "range(60)")
    code = code.replace("data/shards", str(shards)).replace("batch_size=32", "batch_size=4")
    exec(code, names)  # noqa: S102 - the project's own page
    assert names["right"] == len(names["val"]) > 0
    assert f"{len(names['val'])} of {len(names['val'])} faces" in capsys.readouterr().out
