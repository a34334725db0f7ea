import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.expansion import matching
from pipeline.expansion.lower_bounds import main_directions, reduced
from pipeline.expansion.matching import Exclusions, nearest_sources


def brute_force(target: list[float], tied: set[int], sources: list[list[float]], groups: list[int]):
    """All admissible sources of one target, nearest first, equals in order."""
    free = [s for s in range(len(sources)) if groups[s] not in tied]
    return sorted(free, key=lambda s: (math.dist(target, sources[s]), s))


def untied(targets: int, sources: int) -> Exclusions:
    return Exclusions(np.zeros(targets, int), np.zeros(sources, int), [np.zeros(0, int)])


# Few distinct coordinates, so that ties in distance are common.
points = st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=3, max_size=3)
sides = st.lists(st.tuples(points, st.integers(0, 3)), max_size=9)
tied_groups = st.lists(st.sets(st.integers(0, 3)), min_size=4, max_size=4)


@pytest.fixture(params=["measured", "by tree", "by products"])
def way(request, monkeypatch):
    """The three ways to find them, each for data of any size."""
    if request.param != "measured":
        monkeypatch.setattr(matching, "_FEW_PAIRS", 0)
        monkeypatch.setattr(matching, "_FIRST_K", 2)
        monkeypatch.setattr(matching, "_WORTH", 0 if request.param == "by tree" else 2)
        monkeypatch.setattr(matching, "_BLOCK", 4)
    return request.param


@settings(deadline=None, suppress_health_check=list(settings.default.suppress_health_check))
@given(
    targets=sides,
    sources=sides,
    tied=tied_groups,
    count=st.integers(1, 4),
    chunk=st.integers(1, 40),
)
def check(targets, sources, tied, count, chunk) -> None:
    here, there = (
        np.array([p for p, _ in side], float).reshape(-1, 3) for side in (targets, sources)
    )
    groups = [[g for _, g in side] for side in (targets, sources)]
    ties = Exclusions(
        *(np.array(g, np.int64) for g in groups), [np.array(sorted(t), np.int64) for t in tied]
    )
    nearest, distances = nearest_sources(here, there, ties, count=count, chunk_pairs=chunk)
    assert nearest.shape == distances.shape == (len(targets), count)
    for row, (point, mine) in enumerate(targets):
        wanted = brute_force(point, tied[mine], [p for p, _ in sources], groups[1])[:count]
        assert nearest[row].tolist() == wanted + [-1] * (count - len(wanted))
        for place, source in enumerate(wanted):
            assert math.isclose(distances[row, place], math.dist(point, sources[source][0]))
        assert np.isinf(distances[row, len(wanted) :]).all()


def test_agrees_with_brute_force(way) -> None:
    check()


def landmarks(rows: int, seed: int, noise: float = 0.8) -> np.ndarray:
    """Like aligned landmarks: 25 directions of falling strength, and noise. Whole pixels."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).normal(size=(25, 136))
    strength = 8 * 0.75 ** np.arange(25)
    return np.rint(
        112
        + rng.normal(size=(rows, 25)) * strength @ directions
        + rng.normal(0, noise, (rows, 136))
    )


@pytest.mark.parametrize("noise", [0.8, 40.0])  # the tree decides; it does not
def test_thousands_are_those_of_measuring_all(noise) -> None:
    targets, sources = landmarks(300, 1, noise), landmarks(4000, 2, noise)
    sources[::7] = sources[3]  # equally near ones
    groups = [np.arange(len(side)) // 20 for side in (targets, sources)]
    ties = Exclusions(*groups, [np.arange(g, g + 30) for g in range(15)])
    nearest, distances = nearest_sources(targets, sources, ties, count=3)
    for row, target in enumerate(targets):
        measured = np.sqrt(np.square(sources - target).sum(axis=1))
        measured[np.isin(groups[1], ties.tied[row // 20])] = np.inf
        order = np.lexsort((np.arange(4000), measured))[:3]
        assert nearest[row].tolist() == order.tolist()
        assert distances[row] == pytest.approx(measured[order])


def test_chunks_threads_and_order_do_not_change_a_bit() -> None:
    targets, sources = landmarks(400, 1), landmarks(3000, 2)
    found = [
        nearest_sources(targets, sources, untied(400, 3000), count=3, chunk_pairs=pairs)
        for pairs in (50, 1 << 22)
    ]
    order = np.random.default_rng(0).permutation(400)
    found.append(nearest_sources(targets[order], sources, untied(400, 3000), count=3))
    back = np.argsort(order)
    found[2] = (found[2][0][back], found[2][1][back])
    for nearest, distances in found[1:]:
        assert np.array_equal(nearest, found[0][0])
        assert distances.tobytes() == found[0][1].tobytes()


def test_near_ties_are_decided_by_direct_differences(way) -> None:
    # |a|² + |b|² - 2ab in float32, even in float64, cannot tell these two apart.
    target = np.full((1, 136), 1e6)
    sources = np.stack([target[0], target[0], target[0] + 1])
    sources[0, 0] += 2e-6
    sources[1, 0] += 1e-6
    nearest, _ = nearest_sources(target, sources, untied(1, 3))
    assert nearest.tolist() == [[1]]


def test_all_sources_may_be_tied_or_equal(way) -> None:
    same = np.ones((50, 136))
    ties = Exclusions(np.arange(2), np.zeros(50, int), [np.zeros(0, int), np.zeros(1, int)])
    nearest, _ = nearest_sources(same[:2], same, ties, count=2)
    assert nearest.tolist() == [[0, 1], [-1, -1]]


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_no_bound_is_above_a_distance(seed, noise) -> None:
    one, other = landmarks(20, seed, noise), landmarks(30, seed + 1, noise)
    low_one, low_other, slack = reduced(one, other, main_directions(other))
    assert low_one.shape[1] == low_other.shape[1] == 8
    for i in range(20):
        for j in range(0, 30, 7):
            assert math.dist(low_one[i], low_other[j]) <= math.dist(one[i], other[j]) + slack
