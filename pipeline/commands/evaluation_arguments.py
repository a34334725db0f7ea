"""Arguments of the commands about scores and the papers' tables."""

import argparse
from collections.abc import Callable
from pathlib import Path

from pipeline.commands import handlers

Add = Callable[..., argparse.ArgumentParser]


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add_one: Add) -> None:
    """Adds ``scores`` with its own commands, and ``tables``."""
    _tables(commands, add_one)
    scores = commands.add_parser(
        "scores",
        help="bring another detector's scores onto our lists; numbers of groups of videos",
        description="Scores of anybody's detector, measured on our lists of videos.",
    )
    inside = scores.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = add_one(
        inside,
        "import",
        handlers.scores_import,
        "read a CSV file of another detector's scores",
        "The file has the column video_id or face_id with ids of ours, and score (probability of "
        "being fake) or log_odds; status (ok, missing, error) and reason may stand beside them. "
        "Its numbers are printed and kept under scores/NAME; `faceshards compare` takes NAME.",
    )
    command.add_argument("file", metavar="FILE", type=Path, help="CSV file of scores")
    command.add_argument("--name", metavar="NAME", required=True, help="name of the detector")
    command = add_one(
        inside,
        "groups",
        handlers.scores_groups,
        "measure groups of videos that a CSV file of yours names",
        "The file has the column video_id, and any others: each value of each is a group.",
    )
    command.add_argument("name", metavar="RUN", help="evaluated run, or imported scores")
    command.add_argument(
        "--by", metavar="FILE", type=Path, required=True, help="CSV file of groups"
    )
    command.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    command.add_argument(
        "--least",
        metavar="N",
        type=int,
        default=0,
        help="reals and fakes that a group must have; default: evaluate.min_group",
    )


def _tables(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", add_one: Add) -> None:
    command = add_one(
        commands,
        "tables",
        handlers.paper_tables,
        "print a paper's tables, with what runs of this project reach below",
        "The paper's own numbers, typed, and below each row the run of its profile that is the "
        "same, where it has been evaluated, with 95 % intervals. Averages are made anew; where "
        "the printed one is not what its cells give, both stand there.",
    )
    command.add_argument(
        "runs", metavar="RUN", nargs="*", help="runs or imported scores that get a row everywhere"
    )
    command.add_argument("--paper", choices=("metric-learning", "sjedd"), default="metric-learning")
    command.add_argument("--format", choices=("markdown", "latex", "csv"), default="markdown")
