"""Files of a run in ``models/<run>``. Light, so that commands can name them without torch."""

ABOUT = "run.json"
"""There while the run is trained to its end, and not while it is trained."""
BEST = "best.pt"
LAST = "last.pt"
