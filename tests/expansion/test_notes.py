from pathlib import Path

import pytest

from pipeline import config
from pipeline.expansion import notes

PROFILES = Path(__file__).parents[2] / "profiles"


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("sample", []),
        ("own-data", ["off, since expand.datasets is empty."]),
        (
            "commercial-safe",
            [
                "off, since expand.datasets is empty: landmarks.landmarker is none, so faces have "
                "five points at most, and regions need 68."
            ],
        ),
    ],
)
def test_who_expands_nothing_is_told_so(profile, told):
    assert notes.off(config.load(PROFILES / f"{profile}.yaml")) == told
