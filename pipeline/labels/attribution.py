"""Attribution labels: which class of fakes a sample is of, by category or by dataset.

Metric learning trains variants that tell kinds of fakes apart, in three classes (real, FS, RE), or
datasets, in six (real and the five it trains on). A sample's fake score is the sum over all classes
but the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pipeline.errors import UserError

REAL = "real"
CATEGORIES = ("FS", "RE")
"""Kinds of fakes that are told apart (metric learning, Table 1)."""


@dataclass(frozen=True)
class Attribution:
    """One way to name the classes."""

    by: Literal["category", "dataset"]
    classes: tuple[str, ...]
    """``real`` first: a class index is a place in here."""

    def index(self, label: int, category: str, dataset: str) -> int:
        """Class of a sample.

        Args:
            label: 0 real, 1 fake.
            category: as in the column ``category``.
            dataset: name of the dataset.

        Raises:
            UserError: a fake without a class, which is named.
        """
        if label == 0:
            return 0
        name = category if self.by == "category" else dataset
        if name not in self.classes[1:]:
            raise UserError(
                f"Attribution by {self.by} has no class for fakes of {self.by} {name} (dataset "
                f"{dataset}, category {category}); it has {', '.join(self.classes)}. Leave these "
                "fakes out, or choose another attribution."
            )
        return self.classes.index(name, 1)


def by_category() -> Attribution:
    """Classes ``real``, ``FS`` and ``RE``."""
    return Attribution("category", (REAL, *CATEGORIES))


def by_dataset(names: Iterable[str]) -> Attribution:
    """Classes ``real`` and one per dataset, in the order of their names.

    Args:
        names: of the datasets that are trained on; they may repeat.
    """
    return Attribution("dataset", (REAL, *sorted(set(names))))
