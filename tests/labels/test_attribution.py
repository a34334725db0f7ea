import pytest

from pipeline.errors import UserError
from pipeline.labels.attribution import by_category, by_dataset


def test_three_classes_by_category():
    kinds = by_category()
    assert kinds.classes == ("real", "FS", "RE")
    assert kinds.index(1, "FS", "ffpp") == 1
    assert kinds.index(1, "RE", "other") == 2


def test_six_classes_for_the_five_datasets_of_the_paper():
    names = ["ForgeryNet", "FF", "DFDC", "CDF", "FAVC", "FF"]
    sets = by_dataset(names)
    assert sets.classes == ("real", "CDF", "DFDC", "FAVC", "FF", "ForgeryNet")
    assert sets.index(1, "unknown", "DFDC") == 2
    assert by_dataset(reversed(names)) == sets


@pytest.mark.parametrize("way", [by_category(), by_dataset(["a"])])
def test_reals_are_class_0_wherever_they_come_from(way):
    assert way.index(0, "real", "elsewhere") == 0


@pytest.mark.parametrize(
    ("way", "category", "dataset", "named"),
    [
        (by_category(), "EFS", "diff", "category EFS"),
        (by_category(), "local", "ffpp", "category local"),
        (by_category(), "real", "ffpp", "category real"),
        (by_dataset(["ffpp"]), "FS", "wild", "dataset wild"),
        (by_dataset(["ffpp"]), "FS", "real", "dataset real"),
    ],
)
def test_a_fake_without_a_class_is_named(way, category, dataset, named):
    with pytest.raises(UserError, match=f"no class for fakes of {named} "):
        way.index(1, category, dataset)


def test_a_dataset_called_real_has_a_class_of_its_own():
    assert by_dataset(["real"]).index(1, "FS", "real") == 1
