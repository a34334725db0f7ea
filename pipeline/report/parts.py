"""What became of labelled parts, as a table."""

from collections import Counter
from collections.abc import Sequence

from pipeline.audit.parts import FACE, PartCount
from pipeline.report.cells import Cell, Table, limited

HEAD = ("dataset", "split", "labelled parts", "of them", "what became of these", "such as")


def part_table(counts: Sequence[PartCount]) -> Table:
    """Labelled parts by dataset, split and what became of them; no row where nothing is labelled.

    Args:
        counts: as :func:`pipeline.audit.parts.part_counts` gives them.
    """
    total: Counter[tuple[str, str]] = Counter()
    for one in counts:
        total[one.dataset, one.split] += one.count
    rows: list[tuple[Cell, ...]] = [
        (
            *(one.dataset, one.split, total[one.dataset, one.split], one.count, one.fate),
            "" if one.fate == FACE else one.examples[0],
        )
        for one in counts
    ]
    return limited("Labelled parts of fakes, and which of them gave a face", HEAD, "llrrll", rows)
