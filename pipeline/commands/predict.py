"""``faceshards predict``: what a trained run says of files that are in no dataset."""

import dataclasses
import re
from pathlib import Path

from faceshards.wording import counted
from pipeline import config
from pipeline.engine import partition
from pipeline.engine.run import brought_up_to_date
from pipeline.engine.survey import Store
from pipeline.models.catalogue import TINY
from pipeline.prediction import inputs, results
from pipeline.prediction.predictor import Predictor
from pipeline.prediction.task import VERSION, PredictTask
from pipeline.tables.schemas import REJECT_REASONS
from pipeline.training import run_folder
from pipeline.video.watched import WatchedTask
from pipeline.weights import read_sha256

NAME = "predict"
STORE = "store"
"""Folder beside the results: what was found of each file, so that it is looked at once."""
FILES_PER_PARTITION = 8
"""So many files are looked at again after an interruption, at most, per worker."""
EXIT_SOME_REJECTED = 1
EXIT_NO_MEDIA, EXIT_NO_FACE, EXIT_TOO_LARGE = 3, 4, 5
"""Of a single file that gave nothing; the first stands for every other reason too."""
_EXITS = {"no_face": EXIT_NO_FACE, "bad_dimensions": EXIT_TOO_LARGE}
_SHOWN = 20


def predict(
    given: Path, run: str, out: Path | None, as_json: bool, as_html: bool
) -> tuple[str, int]:
    """Judges files and writes what was found.

    Args:
        given: a video, an image, a folder of them, or a CSV file with a column ``path``.
        run: name of a trained run of the project in the working directory.
        out: folder of the results; None = ``predicted/<run>/<name of what is given>``.
        as_json: whether ``predictions.jsonl`` is written.
        as_html: whether pages are written.

    Returns:
        What is to be printed, and the exit code: 0; 1 where some of several files were rejected; 3,
        4 or 5 where the single file is no media, has no face or is too large.

    Raises:
        UserError: there is nothing to judge, or no such trained run.
    """
    asked = inputs.find(given)
    params = config.load()
    predictor = Predictor.load(run)
    trained = read_sha256(Path("models") / run / run_folder.BEST)
    task = PredictTask(run, trained, params, Path.cwd())
    folder = out or Path("predicted") / run / _plain(given)
    store = Store(folder / STORE, "predicted", FILES_PER_PARTITION, all_may_fail=True)
    engine = params.engine
    if len(asked.files) == 1:
        engine = dataclasses.replace(engine, workers=0, scheduler="")  # starting one costs more
    watched = WatchedTask(task, params.datasets.fingerprint)
    plan = asked.plan(params.datasets.fingerprint)
    with brought_up_to_date(NAME, watched, plan, store, engine, VERSION) as whole:
        found = (
            one
            for part in whole
            for one in results.judged(
                predictor, partition.outputs(part.path, "predicted"), folder / STORE
            )
        )
        rejected = [
            *(
                {**reject, "id": inputs.name_of(reject["id"])}
                for part in whole
                for reject in partition.rejects(part.path).to_pylist()
            ),
            *asked.left_out,
        ]
        writer = results.Writer(folder, run, as_json, as_html)
        counts, first = writer.write(found, rejected)
    tiny = params.runs[run].model.size == TINY
    return _text(asked, counts, first, rejected, folder, tiny), _exit_code(asked, rejected)


def _plain(given: Path) -> str:
    """The name of what is given as the name of a folder."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", given.absolute().name)
    return name if name.strip("._") else "files"


def _text(
    asked: inputs.Asked,
    counts: dict[str, int],
    first: list[results.Judged],
    rejected: list[dict[str, str]],
    folder: Path,
    meaningless: bool,
) -> str:
    lines = [_line(one) for one in first[:_SHOWN]]
    lines += [_refusal(reject) for reject in rejected[:_SHOWN]]
    if len(asked.files) > 1:
        said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        lines.append(f"{counted(len(asked.files), 'file')}: {said}.")
    if meaningless:
        lines.append("The model is of size tiny: its scores mean nothing.")
    lines.append(f"The results are in {folder}.")
    return "\n".join(lines)


def _line(one: results.Judged) -> str:
    verdict = one.verdict
    faces = f"{counted(one.faces, 'face')} at {counted(one.looked_at, 'time')}"
    said = f"{one.file}: {verdict.word}, {100 * verdict.probability:.1f} % fake ({faces})"
    return f"{said}\n  {verdict.sentence}" if verdict.sentence else said


def _refusal(reject: dict[str, str]) -> str:
    detail = f" ({reject['detail']})" if reject["detail"] else ""
    return f"{reject['id']}: no verdict; {REJECT_REASONS[reject['reason']]}{detail}"


def _exit_code(asked: inputs.Asked, rejected: list[dict[str, str]]) -> int:
    if len(asked.files) > 1 or not rejected:
        return EXIT_SOME_REJECTED if rejected else 0
    return _EXITS.get(rejected[0]["reason"], EXIT_NO_MEDIA)
