"""Whole params files: listing them and putting one in place.

Profiles come with the package; those of the user lie in ``profiles/`` of the project. Where both
have a name, the user's counts. A profile that needs certain datasets brings a datasets.yaml that
lists them with their roles.
"""

import difflib
from pathlib import Path

from faceshards.replace import replacing
from faceshards.wording import suggestion
from pipeline import config
from pipeline.errors import UserError

FOLDER = Path("profiles")
SHIPPED = Path(__file__).parents[1] / "project/profiles"
SHIPPED_DATASETS = SHIPPED.parent / "profile_datasets"

ROOTS = "Write the root of each dataset that you have there."
"""What is left to do where the datasets of a paper are listed."""


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the profiles: the package's, and those of a folder where there is one."""
    return sorted(_paths(folder))


def find(name: str, folder: Path = FOLDER) -> Path:
    """The file of a profile. Raises UserError where there is none of that name."""
    known = _paths(folder)
    if name not in known:
        raise UserError(f"There is no profile {name!r}. {suggestion(name, sorted(known))}")
    return known[name]


def about(name: str, folder: Path = FOLDER) -> str:
    """First comment line of a profile: what it is for."""
    first = find(name, folder).read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip()


def in_place(params: Path = config.PARAMS, folder: Path = FOLDER) -> str:
    """Name of the profile that params.yaml is, byte for byte; "" where it is none."""
    if not params.is_file():
        return ""
    present = params.read_bytes()
    same = (name for name, path in sorted(_paths(folder).items()) if path.read_bytes() == present)
    return next(same, "")


def difference(name: str, params: Path = config.PARAMS, folder: Path = FOLDER) -> str:
    """Unified diff from params.yaml to a profile; "" where they are equal.

    Raises UserError where there is no such profile or it does not load.
    """
    path = find(name, folder)
    config.load(path)
    old = params.read_text(encoding="utf-8", errors="replace") if params.is_file() else ""
    new = path.read_text(encoding="utf-8")
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), str(params), f"{folder}/{name}.yaml", lineterm=""
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
            f"`mkdir -p {folder} && cp {params} {folder}/mine.yaml`, or overwrite them with "
            f"`faceshards profile {name} --force`."
        )
    with replacing(params) as temporary:
        temporary.write_bytes(find(name, folder).read_bytes())


def datasets(name: str) -> Path | None:
    """The datasets.yaml that a profile brings, with the roles of its datasets; None for none."""
    path = SHIPPED_DATASETS / f"{name}.yaml"
    return path if path.is_file() else None


def put_datasets_in_place(name: str, listed: Path = config.DATASETS) -> str:
    """Make datasets.yaml a copy of the one that a profile brings, unless it is the user's own.

    Returns what was done, or is to be done, in a sentence; "" for nothing.
    """
    brought = datasets(name)
    if brought is None or (listed.is_file() and listed.read_bytes() == brought.read_bytes()):
        return ""
    known = [path.read_bytes() for n in names() if (path := datasets(n))]
    if listed.is_file() and listed.read_bytes() not in known:
        return (
            f"{listed} holds datasets of yours, so it stays. Those of the profile, with their "
            f"roles, are listed in {brought}: copy the entries that you need."
        )
    with replacing(listed) as temporary:
        temporary.write_bytes(brought.read_bytes())
    roots = "" if name == "sample" else f" {ROOTS}"
    return f"{listed} lists the datasets of the profile.{roots}"


def _paths(folder: Path) -> dict[str, Path]:
    return {path.stem: path for place in (SHIPPED, folder) for path in place.glob("*.yaml")}
