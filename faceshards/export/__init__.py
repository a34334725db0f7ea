"""Shard folders in the forms that other tools read: copies of pictures with lists of them.

Each form is a module with one class. :mod:`faceshards.export.units` writes any of them, tar by tar,
so that a second export after a change writes what changed and no more.
"""

from collections.abc import Sequence
from pathlib import Path

from faceshards.export import units
from faceshards.export.csv_lists import CsvLists
from faceshards.export.deepfakebench import DeepfakeBench
from faceshards.export.fiftyone import FiftyOne
from faceshards.export.forms import Form
from faceshards.export.huggingface import HuggingFace
from faceshards.export.image_folder import ImageFolder
from faceshards.reading import Shards

FORMS: dict[str, type[Form]] = {
    form.name: form for form in (CsvLists, ImageFolder, HuggingFace, DeepfakeBench, FiftyOne)
}
"""Every form by its name."""

__all__ = ["FORMS", "Form", "export", "survey"]


def survey(folders: Sequence[Path | str], out: Path | str, form: str) -> units.Work:
    """What :func:`export` would write and how much disk it needs. Raises as that."""
    return units.survey([Shards(Path(folder)) for folder in folders], Path(out), FORMS[form]())


def export(folders: Sequence[Path | str], out: Path | str, form: str) -> int:
    """Writes the samples of shard folders in another form; what is there already is kept.

    Args:
        folders: shard folders of one data set, of different names, such as train, val and test.
        out: a folder that is empty, absent, or holds an earlier export of the same form.
        form: one of :data:`FORMS`.

    Returns:
        How many files of an earlier export were removed.

    Raises:
        UserError: a folder is damaged, two have one name, ``out`` holds something else, an id
            cannot be a path, or the disk is too small.
        KeyError: there is no such form.
    """
    return units.write([Shards(Path(folder)) for folder in folders], Path(out), FORMS[form]())
