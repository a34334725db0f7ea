import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.expansion.matching import nearest_sources


def brute_force(
    target: list[float], ties: set[str], sources: list[list[float]], source_ties: list[set[str]]
) -> list[int]:
    """All admissible sources of one target, nearest first, equals in order."""
    free = [s for s in range(len(sources)) if not ties & source_ties[s]]
    return sorted(free, key=lambda s: (math.dist(target, sources[s]), s))


# Few distinct coordinates, so that ties in distance are common.
faces = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0.0, 1.0, 2.5]), min_size=3, max_size=3),
        st.sets(st.sampled_from("abcd"), max_size=2),
    ),
    max_size=9,
)


@given(targets=faces, sources=faces, count=st.integers(1, 4), chunk=st.integers(1, 40))
def test_agrees_with_brute_force(targets, sources, count, chunk) -> None:
    points = [np.array([p for p, _ in side], float).reshape(-1, 3) for side in (targets, sources)]
    ties = [[t for _, t in side] for side in (targets, sources)]
    nearest, distances = nearest_sources(*points, *ties, count=count, chunk_pairs=chunk)
    assert nearest.shape == distances.shape == (len(targets), count)
    for row, (point, mine) in enumerate(targets):
        wanted = brute_force(point, mine, [p for p, _ in sources], ties[1])[:count]
        assert nearest[row].tolist() == wanted + [-1] * (count - len(wanted))
        for place, source in enumerate(wanted):
            assert math.isclose(distances[row, place], math.dist(point, sources[source][0]))
        assert np.isinf(distances[row, len(wanted) :]).all()


def test_chunks_do_not_change_a_bit() -> None:
    rng = np.random.default_rng(0)
    targets, sources = rng.normal(100, 30, (50, 136)), rng.normal(100, 30, (70, 136))
    none: list[set[str]] = [set()] * 70
    results = [
        nearest_sources(targets, sources, none[:50], none, count=3, chunk_pairs=pairs)
        for pairs in (1, 200, 1 << 22)
    ]
    for nearest, distances in results[1:]:
        assert np.array_equal(nearest, results[0][0])
        assert distances.tobytes() == results[0][1].tobytes()


def test_near_ties_are_decided_by_direct_differences() -> None:
    # |a|² + |b|² - 2ab in float32, even in float64, cannot tell these two apart.
    target = np.full((1, 136), 1e6)
    sources = np.stack([target[0], target[0]])
    sources[0, 0] += 2e-6
    sources[1, 0] += 1e-6
    nearest, _ = nearest_sources(target, sources, [set()], [set(), set()])
    assert nearest.tolist() == [[1]]
