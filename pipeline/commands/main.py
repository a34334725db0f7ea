"""The ``faceshards`` command: its arguments. What each command does is in ``handlers``."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from faceshards import __version__
from pipeline.commands import evaluation_arguments as evaluation
from pipeline.commands import handlers
from pipeline.commands.entry import run_main
from pipeline.stage_list import WITH_REJECTS, named


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 for problems found or 2 for a user's mistake."""
    arguments = _parser().parse_args(argv)
    handler: Callable[[argparse.Namespace], int | None] = arguments.handler
    return run_main(lambda: handler(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="faceshards",
        description="Deepfake videos in; balanced, labelled, verified WebDataset face shards out. "
        "The stages themselves are run by `dvc repro`; these are the commands around them.",
    )
    parser.add_argument("--version", action="version", version=f"faceshards {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    command = _add(
        commands,
        "init",
        handlers.init,
        "make a project in a folder, outside of any clone",
        "Write params.yaml, dvc.yaml, manifests/ and what git and DVC ignore into DIR, and make it "
        "a DVC repository. Files that are there with other content are never overwritten.",
    )
    command.add_argument("folder", metavar="DIR", type=Path, help="folder of the project")
    command.add_argument("--profile", metavar="NAME", default="", help="becomes params.yaml")
    command.add_argument(
        "--videos",
        metavar="DIR",
        type=Path,
        help="folder with real/ and fake/: listed in videos.csv, split so that nobody is in two",
    )
    command.add_argument("--seed", metavar="N", type=_seed, default=0, help="of these splits")

    command = _add(
        commands,
        "profile",
        handlers.profile,
        "list the profiles, or put one in place as params.yaml",
        "Without NAME: list the profiles. With NAME: show how params.yaml would change, then make "
        "it a copy of that profile: of profiles/NAME.yaml, or of the one that came with the "
        "package. Edits of yours are kept unless --force is given.",
    )
    command.add_argument("name", metavar="NAME", nargs="?", help="profile to put in place")
    command.add_argument("--force", action="store_true", help="overwrite hand-edited params.yaml")

    command = _add(
        commands,
        "sample-data",
        handlers.sample_data,
        "write the embedded sample dataset",
        "Write two small datasets of real faces and fakes made from them: DIR/ffpp in the layout "
        "of FaceForensics++, and DIR/wild with a CSV manifest.",
    )
    command.add_argument("folder", metavar="DIR", type=Path, help="folder to write into")
    command.add_argument("--seed", metavar="N", type=_seed, default=0, help="same seed, same bytes")

    command = _add(
        commands,
        "datasets",
        handlers.datasets,
        "say what datasets can be read, and what is there of yours",
        "Without NAME: what each adapter expects on disk, licence and access, and what was found "
        "of the datasets in manifests/datasets.yaml. With NAME: one adapter or dataset in detail. "
        "With `verify NAME --against LIST`: compare a dataset of yours with a published list of "
        "its files. Exit code 0 where both have the same, 1 where files are missing or labelled "
        "otherwise, 3 where there are only more.",
    )
    command.add_argument("name", metavar="NAME", nargs="?", help="adapter, or dataset of yours")
    command.add_argument("verified", metavar="NAME", nargs="?", help="behind `verify`: the dataset")
    command.add_argument(
        "--against",
        metavar="LIST",
        type=Path,
        help="with verify: a list of paths, or of sha256 of paths: lines, .json or .csv",
    )
    command.add_argument(
        "--label-one-is",
        choices=("fake", "real"),
        default="fake",
        help="with verify: what the label 1 of the list means",
    )

    _add(
        commands,
        "licences",
        handlers.licences,
        "say what the terms of data, weights and models allow",
        "Licence and access of every dataset in manifests/datasets.yaml and of all weights and "
        "models in params.yaml, and what follows for shards and trained models: whether commercial "
        "use is allowed.",
    )

    command = _add(
        commands,
        "audit",
        handlers.audit,
        "look for leaks, duplicates, conflicts and shortcuts in the data",
        "Look through manifests/videos.parquet and, where it is there, manifests/faces.parquet. "
        "Exit code 1 where the parameters say that a finding is to fail.",
    )
    command.add_argument(
        "--shortcuts",
        action="store_true",
        help="try instead to tell reals from fakes in the shards by all that is not the face: "
        "bytes, bit rate, codec, frame, box, detector score and so on",
    )

    command = _add(
        commands,
        "verify",
        handlers.verify,
        "check shard folders",
        "Check shard folders against their own index and checksums; needs nothing but the folders. "
        "Exit code 1 where something is wrong.",
    )
    command.add_argument("folders", metavar="FOLDER", type=Path, nargs="+", help="shard folder")
    command.add_argument(
        "--against",
        metavar="FILE",
        type=Path,
        help="sha256 of the folders' shards.json, as sha256sum writes it, kept elsewhere",
    )
    command.add_argument(
        "--quick", action="store_true", help="sizes, sha256 and counts only; no picture is decoded"
    )

    command = _add(
        commands,
        "clean",
        handlers.clean,
        "list, or delete, what removed training runs left behind",
        "List models, predictions, plots and metrics of runs that params.yaml does not name. With "
        "--delete: delete those whose content was found in DVC's cache, or in git. Nothing else "
        "deletes a model.",
    )
    command.add_argument("--delete", action="store_true", help="delete what is kept elsewhere")
    command.add_argument(
        "--force", action="store_true", help="with --delete: also what is nowhere else"
    )

    command = _add(
        commands,
        "sheet",
        handlers.sheet,
        "draw a contact sheet of a shard folder",
        "Draw faces of a shard folder with their labels into one picture.",
    )
    command.add_argument("folder", metavar="FOLDER", type=Path, help="shard folder")
    command.add_argument("out", metavar="OUT", type=Path, help="JPEG to write, such as sheet.jpg")

    command = _add(
        commands,
        "inspect",
        handlers.inspect,
        "say what shard folders hold",
        "Counts by split, dataset, method and label of a shard folder, or of all in a folder such "
        "as data/shards; a contact sheet; everything that is known of one sample.",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="shard folder, or folder of them")
    command.add_argument("--sample", metavar="KEY", help="key or id of a sample to show in full")
    command.add_argument("--sheet", metavar="OUT", type=Path, help="contact sheet to write, a JPEG")

    command = _add(
        commands,
        "diff",
        handlers.diff,
        "say what changed between two sets of shards",
        "Compare two shard folders, or two folders of them, sample by sample: which are there, "
        "labels, everything in their json, and pixels. Exit code 1 where they differ.",
    )
    command.add_argument("first", metavar="A", type=Path, help="shard folder, or folder of them")
    command.add_argument("second", metavar="B", type=Path, help="the other one")

    command = _add(
        commands,
        "export",
        handlers.export,
        "write shards in the form that another tool reads",
        "Forms: csv, folder, huggingface, deepfakebench, fiftyone. An export that is there is "
        "brought up to date: only tars that changed are written again.",
    )
    command.add_argument("form", metavar="FORM", help="csv, folder, huggingface, …")
    command.add_argument("path", metavar="PATH", type=Path, help="shard folder, or folder of them")
    command.add_argument("out", metavar="OUT", type=Path, help="folder to write into")
    command.add_argument(
        "--dry-run", action="store_true", help="say what would be written and the disk it needs"
    )

    command = _add(
        commands,
        "explain-sample",
        handlers.explain,
        "show how an expanded sample was made",
        "Make an expanded sample again from its recipe, say whether it has the stored bytes, and "
        "draw target, source, mask and result side by side. Exit code 1 where the bytes differ.",
    )
    command.add_argument("key", metavar="KEY", help="id of the sample, or its key in the shards")
    command.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("explained.png"), help="PNG to write"
    )

    command = _add(
        commands,
        "predict",
        handlers.predict,
        "say whether videos or images are fake, by a trained run",
        "Judge a video, an image, all of a folder, or the files that a CSV lists in its column "
        "`path`, with the sampling, detection and crops of params.yaml. Files that were judged "
        "before are not looked at again. Exit code 1 where some of several files gave no verdict; "
        "of a single file: 3 no media, 4 no face, 5 too large.",
    )
    command.add_argument("path", metavar="PATH", type=Path, help="video, image, folder or CSV file")
    command.add_argument("--model", metavar="RUN", required=True, help="name of a trained run")
    command.add_argument(
        "--out", metavar="DIR", type=Path, help="for the results; default: predicted/RUN/<name>"
    )
    command.add_argument("--json", action="store_true", help="also write predictions.jsonl")
    command.add_argument(
        "--html", action="store_true", help="also write pages with faces, attention and curves"
    )

    command = _add(
        commands,
        "train",
        handlers.train,
        "train several runs side by side, each on a GPU of its own",
        "Train runs at the same time; the next `dvc repro` finds them done. Exit code 1 where one "
        "has failed; what it said is in logs/train@RUN.txt.",
    )
    command.add_argument("--runs", metavar="A,B", required=True, help="names of runs")
    command.add_argument("--gpus", metavar="0,1", default="0", help="GPUs; default: 0")

    command = _add(
        commands,
        "calibrate",
        handlers.calibrate,
        "show the ranges of a run's losses, to choose their weights by",
        "Train a run for some steps, keep nothing, and print how large each of its losses was and "
        "which weights would make their medians equal.",
    )
    command.add_argument("run", metavar="RUN", help="name of a run")
    command.add_argument("--steps", metavar="N", type=_count, default=300, help="default: 300")

    command = _add(
        commands,
        "compare",
        handlers.compare,
        "say which of two runs is better, and how sure that is",
        "Compare evaluated runs pair by pair on the videos that all of them scored: difference of "
        "AUC with an interval, and p corrected for the number of comparisons.",
    )
    command.add_argument(
        "runs", metavar="RUN", nargs="+", help="names of evaluated runs or of imported scores"
    )
    command.add_argument("--split", choices=("val", "test"), default="test", help="default: test")

    evaluation.add(commands, _add)

    _add(
        commands,
        "summary",
        handlers.summary,
        "say what the stages made and how to look at it",
        "Counts per stage, shard folders, reasons of rejects, and how to look further.",
    )
    _add(
        commands,
        "plan",
        handlers.plan,
        "say what `dvc repro` would do, before it does it",
        "Scan the datasets and hold each heavy stage's plan against its store: rows to do, keep "
        "and drop, time by the rate of the largest of the last runs, disk needed and free.",
    )

    command = _add(
        commands,
        "retry",
        handlers.retry,
        "have the next run try rejected rows again",
        "Take a stage's rejects back, so that `dvc repro` runs it and works their rows again.",
    )
    command.add_argument("stage", metavar="STAGE", help=named(WITH_REJECTS))
    command.add_argument("--reason", metavar="R", default="", help="only rejects with this reason")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    handler: Callable[[argparse.Namespace], int | None],
    short: str,
    long: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=short, description=long)
    command.set_defaults(handler=handler)
    return command


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return count


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return seed


if __name__ == "__main__":
    raise SystemExit(main())
