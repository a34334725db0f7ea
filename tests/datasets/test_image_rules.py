import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.image_rules import FIELDS, layout_pattern

NAMES = st.text("abcXYZ019 .()[]+^$", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("layout", "path", "said"),
    [
        ("{split}/{label}", "train/real/a.jpg", {"split": "train", "label": "real"}),
        ("{split}/{label}", "train/real/deep/er/a.jpg", {"split": "train", "label": "real"}),
        ("{label}/{identity}_*", "fake/ann_b_3.png", {"label": "fake", "identity": "ann"}),
        ("**/{label}/{method}/*.jpg", "x/y/fake/sd/1.jpg", {"label": "fake", "method": "sd"}),
        ("**/{label}/{method}/*.jpg", "fake/sd/1.jpg", {"label": "fake", "method": "sd"}),
        ("{split}-*-of-*", "train-00000-of-00003.parquet", {"split": "train"}),
        ("a+b/{label}", "a+b/real/1.png", {"label": "real"}),
        ("{label}/{id}", "real/a/b.1/c.jpg", {"label": "real", "id": "a/b.1/c.jpg"}),
    ],
)
def test_layouts(layout, path, said):
    assert layout_pattern(layout).fullmatch(path).groupdict() == said


@pytest.mark.parametrize(
    ("layout", "path"),
    [("{split}/{label}", "a.jpg"), ("{label}/*.jpg", "real/a.png"), ("x/{label}", "y/real/a")],
)
def test_paths_of_other_layouts(layout, path):
    assert layout_pattern(layout).fullmatch(path) is None


@pytest.mark.parametrize("layout", ["{labels}", "{label}/{label}", "{file}"])
def test_names_that_nobody_knows(layout):
    with pytest.raises(ValueError, match="is none of"):
        layout_pattern(layout)


@given(st.lists(NAMES, min_size=1, max_size=len(FIELDS)), NAMES)
def test_a_layout_of_folders_gives_the_names_of_folders(names, file):
    layout = "/".join(f"{{{field}}}" for field in FIELDS[: len(names)])
    found = layout_pattern(layout).fullmatch("/".join([*names, file]))
    if "{id}" in layout:  # it is the last one, and stands for all that is left
        names = [*names[:-1], f"{names[-1]}/{file}"]
    assert list(found.groupdict().values()) == names


@given(NAMES)
def test_text_means_itself(text):
    pattern = layout_pattern(f"{text}/{{label}}")
    assert pattern.fullmatch(f"{text}/real/a.png")
    assert bool(pattern.fullmatch(f"{text}!/real/a.png")) is False
    assert re.escape(text) in pattern.pattern
