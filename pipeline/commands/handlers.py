"""What the commands do, one function each: print, and return an exit code or None.

Imports happen inside: those that are slow (OpenCV, Arrow), so that ``--help`` is instant, and those
of extras, so that ``verify`` and ``sheet`` work without any.
"""

import argparse
from pathlib import Path
from typing import Any

from faceshards.errors import UserError
from faceshards.wording import counted

EXIT_PROBLEMS = 1
"""Exit code of ``verify`` where a folder is damaged, of ``audit`` where a finding is to fail."""
SHEET_JPEG_QUALITY = 90


def profile(arguments: argparse.Namespace) -> None:
    """Lists the profiles, or puts one in place."""
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


def init(arguments: argparse.Namespace) -> None:
    """Makes a project in a folder."""
    from pipeline.commands.init import init

    print(init(arguments.folder, arguments.profile, arguments.videos, arguments.seed))


def sample_data(arguments: argparse.Namespace) -> None:
    """Writes the sample dataset."""
    from pipeline.sample_data import write_sample_data

    write_sample_data(arguments.folder, arguments.seed)
    print(f"The sample dataset is in {arguments.folder}.")


def plan(arguments: argparse.Namespace) -> None:  # noqa: ARG001 - has no arguments
    """Says what `dvc repro` would do."""
    from pipeline import config
    from pipeline.commands import preview

    print(preview.text(*preview.preview(config.load())))


def retry(arguments: argparse.Namespace) -> None:
    """Takes rejects back."""
    from pipeline.engine.retry import retry

    count = retry(arguments.stage, arguments.reason)
    next_step = "Next: `dvc repro`." if count else "Nothing is to be tried again."
    print(f"{counted(count, 'reject')} taken back. {next_step}")


def datasets(arguments: argparse.Namespace) -> int | None:
    """Says what can be read and what was found, or holds it against a list."""
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


def licences(_: argparse.Namespace) -> None:
    """Says what the data, weights and models allow."""
    from pipeline import config
    from pipeline.commands import licences

    listed = config.load_datasets() if config.DATASETS.is_file() else {}
    print(licences.text(licences.parts(listed, config.load())))


def audit(arguments: argparse.Namespace) -> int:
    """Prints findings; 1 where one is to fail."""
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


def verify(arguments: argparse.Namespace) -> int:
    """Prints what is wrong with shard folders; 1 where anything is."""
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


def clean(arguments: argparse.Namespace) -> None:
    """Lists, or deletes, what removed runs left behind."""
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


def sheet(arguments: argparse.Namespace) -> None:
    """Writes a contact sheet."""
    from faceshards import images
    from faceshards.replace import replacing
    from faceshards.sheet import contact_sheet

    sheet = images.encode_jpeg(contact_sheet(arguments.folder), SHEET_JPEG_QUALITY, "4:4:4")
    with replacing(arguments.out) as temporary:
        temporary.write_bytes(sheet)
    print(f"The contact sheet is {arguments.out}.")


def inspect(arguments: argparse.Namespace) -> None:
    """Prints what shard folders hold."""
    from faceshards import looking
    from faceshards.reading import Shards

    folders = [Shards(path) for path in looking.shard_folders(arguments.path)]
    if arguments.sample:
        print(looking.sample_text(*looking.find_sample(folders, arguments.sample)))
    else:
        print(looking.text(folders))
    if arguments.sheet:
        full = next((shards for shards in folders if len(shards)), folders[0])
        sheet(argparse.Namespace(folder=full.folder, out=arguments.sheet))


def diff(arguments: argparse.Namespace) -> int:
    """Prints what differs; 1 where anything does."""
    from faceshards import differences

    try:
        found = differences.differences(arguments.first, arguments.second)
    except ValueError as error:
        raise UserError(
            f"{error}. Look with `faceshards verify` which folder is damaged."
        ) from None
    print(differences.text(found))
    return EXIT_PROBLEMS if any(found) else 0


def export(arguments: argparse.Namespace) -> None:
    """Writes shards in another form."""
    from faceshards import export, looking
    from faceshards.wording import suggestion

    if arguments.form not in export.FORMS:
        raise UserError(
            f"There is no form {arguments.form!r}. {suggestion(arguments.form, export.FORMS)} "
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


def explain(arguments: argparse.Namespace) -> int:
    """Makes an expanded sample again; 1 where its bytes differ."""
    from faceshards import images
    from faceshards.replace import replacing
    from pipeline.commands.explain import explain

    found = explain(arguments.key, Path())
    with replacing(arguments.out) as temporary:
        temporary.write_bytes(images.encode_png(found.strip))
    print(f"{found.text}\nTarget, source, mask and result are side by side in {arguments.out}.")
    return 0 if found.same else EXIT_PROBLEMS


def predict(arguments: argparse.Namespace) -> int:
    """Prints what a trained run says of files; see the module for its exit codes."""
    from pipeline.commands.predict import predict

    text, code = predict(
        arguments.path, arguments.model, arguments.out, arguments.json, arguments.html
    )
    print(text)
    return code


def train(arguments: argparse.Namespace) -> int:
    """See :func:`pipeline.commands.side_by_side.train_all`."""
    from pipeline.commands import side_by_side

    return 1 if side_by_side.train_named(arguments.runs, arguments.gpus) else 0


def calibrate(arguments: argparse.Namespace) -> None:
    """See :mod:`pipeline.training.calibration`."""
    from pipeline import config
    from pipeline.config import run_params
    from pipeline.training.calibration import calibrate, table
    from pipeline.training.inputs import run_of

    params = config.load()
    run = run_of(params, run_params.chosen(params.runs, [arguments.run]))
    print("\n".join(table(calibrate(run, Path("data/shards"), arguments.steps))))


def compare(arguments: argparse.Namespace) -> None:
    """Prints the differences between runs."""
    from pipeline.commands import scores

    print(scores.compare(arguments.runs, arguments.split))


def scores_import(arguments: argparse.Namespace) -> None:
    """Brings the scores of another detector onto our lists."""
    from pipeline.commands import scores

    print(scores.bring(arguments.file, arguments.name))


def scores_groups(arguments: argparse.Namespace) -> None:
    """Prints the numbers of groups of videos that a file of the user's names."""
    from pipeline.commands import scores

    print(scores.groups(arguments.name, arguments.by, arguments.split, arguments.least))


def paper_tables(arguments: argparse.Namespace) -> None:
    """Prints a paper's tables."""
    from pipeline.commands import paper_tables

    print(paper_tables.text(arguments.paper, arguments.format, arguments.runs))


def summary(_: argparse.Namespace) -> None:
    """Prints what the stages made."""
    from pipeline.commands.summary import summary

    print(summary())
