"""Output versions: one number per stage, which says that the same inputs give the same bytes.

They come with the package, in ``versions.yaml`` beside this file. DVC needs them in the project, as
parameters of its stages: the stage ``scan``, which always runs and always runs first, copies them
there. After an update of the package DVC so finds the new numbers before it decides what to run.
"""

from pathlib import Path

from faceshards.replace import replacing
from pipeline.config import read_yaml
from pipeline.errors import UserError

VERSIONS = Path(__file__).with_name("versions.yaml")
IN_PROJECT = Path("manifests/versions.yaml")


def version(stage: str) -> int:
    """The output version that this package gives a stage."""
    return int(read_yaml(VERSIONS)[stage])


def publish(path: Path = IN_PROJECT) -> None:
    """Copies all numbers into the project, where DVC looks for them."""
    with replacing(path) as temporary:
        temporary.write_bytes(VERSIONS.read_bytes())


def check_published(stage: str, path: Path = IN_PROJECT) -> None:
    """Raises UserError where DVC would write down another number than the one that is at work.

    That happens where ``scan`` did not run since the package was updated: with ``--single-item``,
    ``--downstream``, or in a clone that pulled its data. A stage without a number is not looked at.
    """
    ours = read_yaml(VERSIONS).get(stage)
    if ours is None or not path.is_file():
        return
    known = read_yaml(path).get(stage)
    if known != ours:
        raise UserError(
            f"{path} says that the stage {stage} makes version {known}, but this faceshards makes "
            f"version {ours}. Run `dvc repro scan`, or `python -m pipeline.versions` where the "
            "videos are not at hand; then run this again."
        )


if __name__ == "__main__":
    publish()
