"""``faceshards init``: a folder in which ``dvc repro`` runs the stages of the installed package."""

import json
import os
import subprocess
import sys
from pathlib import Path

from faceshards.replace import replacing
from pipeline.commands.own_videos import own_videos, table
from pipeline.config import DATASETS, PARAMS, load, profiles
from pipeline.errors import UserError

SHIPPED = Path(__file__).parents[1] / "project"
SAMPLE_PROFILE, OWN_PROFILE = "sample", "own-data"
OWN_NAME, OWN_CSV = "mine", "videos.csv"

IGNORED = {".gitignore": "gitignore", ".dvcignore": "dvcignore"}
"""Files that belong to the user: lines are added to them."""

NO_DATASETS = """\
# What data there is: one entry per dataset, whose key is the dataset's name everywhere. Relative
# roots are relative to the folder that `dvc repro` runs in. `faceshards datasets` tells what can
# be read.
#
# ffpp: {adapter: faceforensics, root: /data/ffpp, compression: c23}
# mine: {adapter: csv, root: /data/mine, manifest: mine.csv}
"""


def init(folder: Path, profile: str = "", videos: Path | None = None, seed: int = 0) -> str:
    """Makes a project in a folder; what is there already and is the same, stays as it is.

    Args:
        folder: made where it is absent.
        profile: becomes params.yaml; "" = ``own-data`` for one's own videos, else ``sample``.
        videos: holds ``real/`` and ``fake/``, which become the dataset ``mine``; None = no videos.
        seed: of the splits of these videos.

    Returns:
        What was done and what to do next.

    Raises:
        UserError: a file is there with other content (nothing is written then); there is no such
            profile; ``videos`` holds none.
    """
    own = OWN_PROFILE in profiles.names() and videos is not None
    profile = profile or (OWN_PROFILE if own else SAMPLE_PROFILE)
    chosen = profiles.find(profile)
    load(chosen)
    wanted = {
        PARAMS: chosen.read_bytes(),
        Path("dvc.yaml"): (SHIPPED / "graph.yaml").read_bytes(),
        Path("manifests/semantics.yaml"): (SHIPPED / "semantics.yaml").read_bytes(),
    }
    told = []
    if videos is not None:
        found, how = own_videos(videos)
        listing, splits = table(found, seed)
        wanted |= {Path(OWN_CSV): listing.encode(), DATASETS: _own_entry(folder, videos).encode()}
        told = [f"{OWN_CSV}: {how} {splits}"]
        next_step = f"look at {OWN_CSV}, then run `dvc repro`"
    elif profile == SAMPLE_PROFILE:
        wanted[DATASETS] = (SHIPPED / "datasets.yaml").read_bytes()
        next_step = "`faceshards sample-data data/raw/sample`, then `dvc repro`"
    elif brought := profiles.datasets(profile):
        wanted[DATASETS] = brought.read_bytes()
        next_step = f"write the roots of the datasets you have into {DATASETS}, then `dvc repro`"
    else:
        wanted[DATASETS] = NO_DATASETS.encode()
        next_step = f"list your data in {DATASETS}, then run `dvc repro`"
    written = _write(folder, wanted)
    extended = [name for name, shipped in IGNORED.items() if _add_lines(folder / name, shipped)]
    _init_dvc(folder)
    if written:
        told.append(f"Written to {folder}: {', '.join(map(str, written))}.")
    if extended:
        told.append(f"Lines were added to {', '.join(extended)}.")
    told.append(f"The profile is {profile}. Next, in {folder}: {next_step}.")
    return "\n".join(told)


def _write(folder: Path, wanted: dict[Path, bytes]) -> list[Path]:
    """Writes what is not there yet. Raises UserError before that where something else is."""
    there = {name for name in wanted if (folder / name).exists()}
    other = [n for n in there if not _is(folder / n, wanted[n])]
    if other:
        raise UserError(
            f"{folder} has {', '.join(sorted(map(str, other)))} with other content, so nothing was "
            "written. Move them away, or choose another folder."
        )
    missing = [name for name in wanted if name not in there]
    for name in missing:
        with replacing(folder / name) as temporary:
            temporary.write_bytes(wanted[name])
    return missing


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _add_lines(path: Path, shipped: str) -> bool:
    """Adds the lines that a file of the user's lacks; whether there were any and it was there."""
    lines = (SHIPPED / shipped).read_text(encoding="utf-8").splitlines()
    was_there = path.is_file()
    old = path.read_text(encoding="utf-8") if was_there else ""
    known = set(old.splitlines())
    new = [line for line in lines if line not in known]
    if new:
        start = f"{old.rstrip()}\n" if old.strip() else ""
        with replacing(path) as temporary:
            temporary.write_text(start + "\n".join(new) + "\n", encoding="utf-8")
    return was_there and bool(new)


def _own_entry(folder: Path, videos: Path) -> str:
    """datasets.yaml that names the CSV: by relative paths where the videos are in the project."""
    root, project = videos.resolve(), folder.resolve()
    if root.is_relative_to(project):
        named = root.relative_to(project).as_posix(), os.path.relpath(project / OWN_CSV, root)
    else:
        named = str(root), str(project / OWN_CSV)
    root_text, manifest = (json.dumps(name, ensure_ascii=False) for name in named)
    return (
        f"# Your own videos, listed in {OWN_CSV}; both files are yours to edit.\n"
        f"{OWN_NAME}:\n  adapter: csv\n  root: {root_text}\n  manifest: {manifest}\n"
    )


def _init_dvc(folder: Path) -> None:
    """Makes the folder a DVC repository that sends nothing home, with git where git is."""
    if (folder / ".dvc").is_dir():
        return
    how = []
    if not (folder / ".git").exists():
        above = any((parent / ".git").exists() for parent in folder.resolve().parents)
        how = ["--subdir"] if above else ["--no-scm"]
    _dvc(folder, "init", "--quiet", *how)
    for setting in ("core.analytics", "core.check_update"):
        _dvc(folder, "config", setting, "false")


def _dvc(folder: Path, *words: str) -> None:
    done = subprocess.run(  # noqa: S603 - words are ours
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"`dvc {' '.join(words)}` failed in {folder}: {done.stderr.strip()}")
