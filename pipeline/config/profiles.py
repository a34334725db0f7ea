"""Whole params files under ``profiles/``: listing them and putting one in place."""

import difflib
from pathlib import Path

from faceshards.wording import suggestion
from pipeline import config
from pipeline.errors import UserError
from pipeline.files.replace import replacing

FOLDER = Path("profiles")


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the profiles. Raises UserError where there are none."""
    found = sorted(path.stem for path in folder.glob("*.yaml"))
    if not found:
        raise UserError(f"{folder}/ holds no profiles. Run this in the root of the repository.")
    return found


def about(name: str, folder: Path = FOLDER) -> str:
    """First comment line of a profile: what it is for."""
    first = (folder / f"{name}.yaml").read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip()


def in_place(params: Path = config.PARAMS, folder: Path = FOLDER) -> str:
    """Name of the profile that params.yaml is, byte for byte; "" where it is none."""
    if not params.is_file():
        return ""
    present = params.read_bytes()
    same = (name for name in names(folder) if (folder / f"{name}.yaml").read_bytes() == present)
    return next(same, "")


def difference(name: str, params: Path = config.PARAMS, folder: Path = FOLDER) -> str:
    """Unified diff from params.yaml to a profile; "" where they are equal.

    Raises UserError where there is no such profile or it does not load.
    """
    path = folder / f"{name}.yaml"
    known = names(folder)
    if name not in known:
        raise UserError(f"There is no profile {name!r} in {folder}/. {suggestion(name, known)}")
    config.load(path)
    old = params.read_text(encoding="utf-8", errors="replace") if params.is_file() else ""
    new = path.read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(params), str(path), lineterm=""
    )
    return "\n".join(lines)


def put_in_place(
    name: str, force: bool, params: Path = config.PARAMS, folder: Path = FOLDER
) -> None:
    """Make params.yaml a copy of the profile, by rename.

    Raises UserError where params.yaml holds hand edits, that is, equals no profile, unless forced.
    """
    if params.is_file() and not force and not in_place(params, folder):
        raise UserError(
            f"{params} holds edits of yours (it equals no profile), so it stays. Keep them with "
            f"`cp {params} {folder}/mine.yaml`, or overwrite them with "
            f"`faceshards profile {name} --force`."
        )
    with replacing(params) as temporary:
        temporary.write_bytes((folder / f"{name}.yaml").read_bytes())
