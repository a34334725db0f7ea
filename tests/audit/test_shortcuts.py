"""The shortcut probe, on made tables with and without something that tells."""

import numpy as np
import pytest

from pipeline.audit import shortcuts
from pipeline.audit.shortcuts import Answer, probe


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "_TREES", 8)
    monkeypatch.setattr(shortcuts, "SHUFFLES", 9)


def scenes(count: int, each: int = 4) -> tuple[np.ndarray, list[str], list[str]]:
    """Labels, videos and scenes: each scene has a real and a fake video of so many samples."""
    fake = np.tile(np.repeat([False, True], each), count)
    scene = [f"s{n}" for n in range(count) for _ in range(2 * each)]
    return fake, [f"{s}/{f}" for s, f in zip(scene, fake, strict=True)], scene


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n)


def test_a_column_that_tells_is_found_and_named() -> None:
    fake, videos, groups = scenes(20)
    columns = {"codec": noise(len(fake)), "bytes": fake + 0.8 * noise(len(fake), 1)}
    found = probe("d", "train", columns, (), fake, videos, groups)
    assert (found.samples, found.groups) == (160, 20)
    assert found.columns[0][0] == "bytes"
    assert found.columns[0][1] > 0.6 > found.columns[1][1]
    assert found.whole is not None
    assert found.whole.tells
    assert found.whole.chance is not None
    assert found.whole.chance[0] < 0.5 < found.whole.chance[1] < found.whole.auc


def test_what_the_picture_decides_can_be_left_out() -> None:
    fake, videos, groups = scenes(20)
    columns = {"codec": noise(len(fake)), "bytes": fake + 0.5 * noise(len(fake), 1)}
    found = probe("d", "train", columns, ("bytes",), fake, videos, groups)
    assert found.whole is not None
    assert found.apart is not None
    assert found.whole.tells
    assert not found.apart.tells


def test_noise_does_not_tell() -> None:
    fake, videos, groups = scenes(15)
    columns = {name: noise(len(fake), seed) for seed, name in enumerate("abcd")}
    found = probe("d", "train", columns, (), fake, videos, groups)
    assert found.whole is not None
    assert not found.whole.tells
    assert 0.3 < found.whole.auc < 0.65


def test_what_names_the_video_does_not_tell() -> None:
    """A value of its own for each video gives labels away only to who has seen that video."""
    fake, videos, groups = scenes(12)
    own = dict(zip(videos, noise(len(videos)), strict=True))
    columns = {"id": np.array([own[video] for video in videos])}
    found = probe("d", "train", columns, (), fake, videos, groups)
    assert found.whole is not None
    assert not found.whole.tells
    # The same rows, each a scene of its own, would be told nearly always.
    cheating = probe("d", "train", columns, (), fake, videos, [str(n) for n in range(len(fake))])
    assert cheating.whole is not None
    assert cheating.whole.auc > 0.7


def test_expanded_samples_share_their_targets_videos() -> None:
    fake, _, groups = scenes(12)
    same = np.repeat(noise(12 * 4).reshape(12, 1, 4), 2, axis=1).ravel()  # as its target has it
    found = probe("d", "expanded", {"box": same}, (), fake, groups, groups)
    assert found.whole is not None
    assert not found.whole.tells
    columns = {"box": same, "bytes": fake + 0.5 * noise(len(fake), 3)}
    found = probe("d", "expanded", columns, (), fake, groups, groups)
    assert found.whole is not None
    assert found.whole.tells


def test_classes_without_common_scenes() -> None:
    fake, videos, _ = scenes(15)
    columns = {"codec": fake.astype(float)}
    found = probe("d", "train", columns, (), fake, videos, videos)
    assert found.whole is not None
    assert found.whole.auc == 1.0
    assert found.whole.tells


def test_too_few_videos_and_nothing_known() -> None:
    fake, videos, groups = scenes(3)
    found = probe("d", "train", {"a": noise(len(fake))}, (), fake, videos, groups)
    assert found.whole is found.apart is None
    fake, videos, groups = scenes(8)
    found = probe("d", "train", {"a": np.full(len(fake), -1.0)}, (), fake, videos, groups)
    assert found.whole == found.apart == Answer(0.5)
    assert found.columns == ()


def test_the_same_answer_again() -> None:
    fake, videos, groups = scenes(8)
    columns = {"a": noise(len(fake)), "b": noise(len(fake), 1)}
    one, other = (probe("d", "t", columns, (), fake, videos, groups) for _ in range(2))
    assert one == other


def test_shuffled_labels_keep_their_number_and_their_videos() -> None:
    fake, videos, groups = scenes(10)
    codes = [shortcuts._codes(names) for names in (videos, groups)]
    seen = set()
    for given in shortcuts._shuffles(fake, *codes):
        assert given.sum() == fake.sum()
        for video in set(videos):
            assert len({bool(g) for g, v in zip(given, videos, strict=True) if v == video}) == 1
        for scene in set(groups):
            mine = [bool(g) for g, s in zip(given, groups, strict=True) if s == scene]
            assert sum(mine) == len(mine) / 2
        seen.add(given.tobytes())
    assert len(seen) > 5
