from pipeline.labels.levels import Levels, levels
from pipeline.labels.semantics import Graph
from tests.models.made import FFPP, SEMANTICS


def test_levels_of_both_papers_graphs():
    ffpp = levels(FFPP)
    assert ffpp == Levels((0,), (1, 2, 3), (4, 5, 6, 7, 8, 9))
    ffsc = levels(SEMANTICS.graph("ffsc"))
    assert ffsc == Levels((0,), (1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11))


def test_levels_of_a_graph_that_is_deeper_than_the_papers():
    names = ("face", "age", "identity", "eye", "iris")
    graph = Graph("deep", names, ((0, 1), (0, 2), (2, 3), (3, 4)), names)
    assert levels(graph) == Levels((0,), (1, 2), (3, 4))
