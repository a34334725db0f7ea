"""The ``faceshards`` command. Parses arguments and calls one function of the library each.

Imports happen inside the handlers: those that are slow (OpenCV, Arrow), so that ``--help`` is
instant, and those of extras, so that ``verify`` and ``sheet`` work without any.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faceshards import __version__
from faceshards.errors import UserError
from faceshards.wording import counted
from pipeline.commands.entry import run_main
from pipeline.stage_list import WITH_REJECTS, named

EXIT_PROBLEMS = 1
"""Exit code of ``verify`` where a folder is damaged, of ``audit`` where a finding is to fail, of
``explain-sample`` where the bytes differ."""


SHEET_JPEG_QUALITY = 90


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
        _init,
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
        _profile,
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
        _sample_data,
        "write the embedded sample dataset",
        "Write two small datasets of real faces and fakes made from them: DIR/ffpp in the layout "
        "of FaceForensics++, and DIR/wild with a CSV manifest.",
    )
    command.add_argument("folder", metavar="DIR", type=Path, help="folder to write into")
    command.add_argument("--seed", metavar="N", type=_seed, default=0, help="same seed, same bytes")

    command = _add(
        commands,
        "datasets",
        _datasets,
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
        _licences,
        "say what the terms of data, weights and models allow",
        "Licence and access of every dataset in manifests/datasets.yaml and of all weights and "
        "models in params.yaml, and what follows for shards and trained models: whether commercial "
        "use is allowed.",
    )

    command = _add(
        commands,
        "audit",
        _audit,
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
        _verify,
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
        _clean,
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
        _sheet,
        "draw a contact sheet of a shard folder",
        "Draw faces of a shard folder with their labels into one picture.",
    )
    command.add_argument("folder", metavar="FOLDER", type=Path, help="shard folder")
    command.add_argument("out", metavar="OUT", type=Path, help="JPEG to write, such as sheet.jpg")

    command = _add(
        commands,
        "inspect",
        _inspect,
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
        _diff,
        "say what changed between two sets of shards",
        "Compare two shard folders, or two folders of them, sample by sample: which are there, "
        "labels, everything in their json, and pixels. Exit code 1 where they differ.",
    )
    command.add_argument("first", metavar="A", type=Path, help="shard folder, or folder of them")
    command.add_argument("second", metavar="B", type=Path, help="the other one")

    command = _add(
        commands,
        "export",
        _export,
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
        _explain,
        "show how an expanded sample was made",
        "Make an expanded sample again from its recipe, say whether it has the stored bytes, and "
        "draw target, source, mask and result side by side. Exit code 1 where the bytes differ.",
    )
    command.add_argument("key", metavar="KEY", help="id of the sample, or its key in the shards")
    command.add_argument(
        "--out", metavar="FILE", type=Path, default=Path("explained.png"), help="PNG to write"
    )

    _add(
        commands,
        "summary",
        _summary,
        "say what the stages made and how to look at it",
        "Counts per stage, shard folders, reasons of rejects, and how to look further.",
    )
    _add(
        commands,
        "plan",
        _plan,
        "say what `dvc repro` would do, before it does it",
        "Scan the datasets and hold each heavy stage's plan against its store: rows to do, keep "
        "and drop, time by the rate of the largest of the last runs, disk needed and free.",
    )

    command = _add(
        commands,
        "retry",
        _retry,
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


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return seed


def _profile(arguments: argparse.Namespace) -> None:
    from pipeline.config import profiles

    if arguments.name is None:
        present = profiles.in_place()
        known = profiles.names()
        width = max(map(len, known))
        for name in known:
            mark = "*" if name == present else " "
            print(f"{mark} {name:<{width}}  {profiles.about(name)}")
        print("\n* is in place as params.yaml." if present else "\nparams.yaml is none of these.")
        return
    change = profiles.difference(arguments.name)
    if not change:
        print(f"params.yaml is the profile {arguments.name} already.")
        if told := profiles.put_datasets_in_place(arguments.name):
            print(told)
        return
    try:
        profiles.put_in_place(arguments.name, arguments.force)
    finally:  # shown also where it is refused; and a reader that stops early stops nothing else
        print(change, flush=True)
    told = profiles.put_datasets_in_place(arguments.name)
    print(
        f"\nparams.yaml is now the profile {arguments.name}.",
        *filter(None, [told]),
        "Next: `dvc repro`.",
    )


def _init(arguments: argparse.Namespace) -> None:
    from pipeline.commands.init import init

    print(init(arguments.folder, arguments.profile, arguments.videos, arguments.seed))


def _sample_data(arguments: argparse.Namespace) -> None:
    from pipeline.sample_data import write_sample_data

    write_sample_data(arguments.folder, arguments.seed)
    print(f"The sample dataset is in {arguments.folder}.")


def _plan(arguments: argparse.Namespace) -> None:  # noqa: ARG001 - has no arguments
    from pipeline import config
    from pipeline.commands import preview

    print(preview.text(*preview.preview(config.load())))


def _retry(arguments: argparse.Namespace) -> None:
    from pipeline.engine.retry import retry

    count = retry(arguments.stage, arguments.reason)
    next_step = "Next: `dvc repro`." if count else "Nothing is to be tried again."
    print(f"{counted(count, 'reject')} taken back. {next_step}")


def _datasets(arguments: argparse.Namespace) -> int | None:
    from pipeline import config, tables
    from pipeline.datasets import catalogue

    if arguments.against or arguments.verified:
        return _verify_dataset(arguments)
    listed = config.load_datasets() if config.DATASETS.is_file() else {}
    path = Path("manifests/videos.parquet")
    videos = tables.read(path, "videos") if path.is_file() else None
    path = Path("manifests/rejected/scan.parquet")
    rejected = tables.read(path, "rejected") if path.is_file() else None
    if arguments.name is None:
        print(catalogue.overview(listed, videos, rejected))
    else:
        print(catalogue.detail(arguments.name, listed, videos, rejected))
    return 0


def _verify_dataset(arguments: argparse.Namespace) -> int:
    from pipeline.commands import verify_dataset

    if arguments.name != "verify" or not (arguments.verified and arguments.against):
        raise UserError("Write it as `faceshards datasets verify NAME --against LIST`.")
    text, code = verify_dataset.verify(
        arguments.verified, arguments.against, arguments.label_one_is
    )
    print(text)
    return code


def _licences(_: argparse.Namespace) -> None:
    from pipeline import config
    from pipeline.commands import licences

    listed = config.load_datasets() if config.DATASETS.is_file() else {}
    print(licences.text(licences.parts(listed, config.load())))


def _audit(arguments: argparse.Namespace) -> int:
    from pipeline import config
    from pipeline.audit import gather

    if arguments.shortcuts:
        from pipeline.audit import circumstances

        print(circumstances.text(circumstances.look(Path()), Path("metrics/evaluate")))
        return 0
    found = gather.gather(Path("manifests"))
    failed = gather.failing(found, config.load())
    print(gather.text(found, failed))
    return EXIT_PROBLEMS if failed else 0


def _verify(arguments: argparse.Namespace) -> int:
    from faceshards.verify import verify_folder

    graphs = _known_graphs()
    damaged = False
    for folder in arguments.folders:
        problems = verify_folder(folder, graphs, quick=arguments.quick)
        if arguments.against:
            from faceshards.verify import verify_against

            problems += verify_against(folder, arguments.against)
        damaged = damaged or bool(problems)
        print(f"{folder}: {counted(len(problems), 'problem') if problems else 'sound'}")
        for problem in problems:
            print(f"  {problem}")
    return EXIT_PROBLEMS if damaged else 0


def _known_graphs() -> dict[str, dict[str, Any]]:
    """The label graphs of the project in the working directory, where there is one."""
    path = Path("manifests/semantics.yaml")
    if not path.is_file():
        return {}
    # Who has a project has what reads it; folders alone are checked without.
    from pipeline.labels import semantics
    from pipeline.shards.folder_index import graph_json

    return {name: graph_json(graph) for name, graph in semantics.load(path).graphs.items()}


def _clean(arguments: argparse.Namespace) -> None:
    from pipeline import config
    from pipeline.commands import cleaning

    root = Path()
    found = cleaning.leftovers(root, config.load().runs, cleaning.cache_folder(root))
    gone = cleaning.delete(root, found, arguments.force) if arguments.delete else []
    for one in found:
        state = "deleted" if one in gone else one.why_kept and f"stays: {one.why_kept}"
        print(f"{one.path}: {state or 'kept elsewhere, can be deleted'}")
    if not found:
        print("No removed run left anything behind.")
    elif not arguments.delete:
        print("Nothing was deleted. Delete with `faceshards clean --delete`.")
    elif len(gone) < len(found) and not arguments.force:
        print("What stays is nowhere else; `faceshards clean --delete --force` deletes it too.")


def _sheet(arguments: argparse.Namespace) -> None:
    from faceshards import images
    from faceshards.replace import replacing
    from faceshards.sheet import contact_sheet

    sheet = images.encode_jpeg(contact_sheet(arguments.folder), SHEET_JPEG_QUALITY, "4:4:4")
    with replacing(arguments.out) as temporary:
        temporary.write_bytes(sheet)
    print(f"The contact sheet is {arguments.out}.")


def _inspect(arguments: argparse.Namespace) -> None:
    from faceshards import looking
    from faceshards.reading import Shards

    folders = [Shards(path) for path in looking.shard_folders(arguments.path)]
    if arguments.sample:
        print(looking.sample_text(*looking.find_sample(folders, arguments.sample)))
    else:
        print(looking.text(folders))
    if arguments.sheet:
        full = next((shards for shards in folders if len(shards)), folders[0])
        _sheet(argparse.Namespace(folder=full.folder, out=arguments.sheet))


def _diff(arguments: argparse.Namespace) -> int:
    from faceshards import differences

    try:
        found = differences.differences(arguments.first, arguments.second)
    except ValueError as error:
        raise UserError(
            f"{error}. Look with `faceshards verify` which folder is damaged."
        ) from None
    print(differences.text(found))
    return EXIT_PROBLEMS if any(found) else 0


def _export(arguments: argparse.Namespace) -> None:
    from faceshards import export, looking
    from faceshards.wording import suggestion

    if arguments.form not in export.FORMS:
        raise UserError(
            f"There is no form {arguments.form!r}{suggestion(arguments.form, export.FORMS)}. "
            "There are: " + "; ".join(f"{n} ({f.about})" for n, f in export.FORMS.items()) + "."
        )
    folders = looking.shard_folders(arguments.path)
    work = export.survey(folders, arguments.out, arguments.form)
    print(
        f"{counted(work.to_write, 'sample')} to write, {work.kept} kept; "
        f"about {work.needed_bytes / 1e9:.2f} GB needed, {work.free_bytes / 1e9:.1f} GB free"
    )
    if not arguments.dry_run:
        removed = export.export(folders, arguments.out, arguments.form)
        print(f"The export is in {arguments.out}; {counted(removed, 'old file')} removed.")


def _explain(arguments: argparse.Namespace) -> int:
    from faceshards import images
    from faceshards.replace import replacing
    from pipeline.commands.explain import explain

    found = explain(arguments.key, Path())
    with replacing(arguments.out) as temporary:
        temporary.write_bytes(images.encode_png(found.strip))
    print(f"{found.text}\nTarget, source, mask and result are side by side in {arguments.out}.")
    return 0 if found.same else EXIT_PROBLEMS


def _summary(_: argparse.Namespace) -> None:
    from pipeline.commands.summary import summary

    print(summary())


if __name__ == "__main__":
    raise SystemExit(main())
