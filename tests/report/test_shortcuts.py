from pipeline.audit.shortcuts import Answer, Shortcut
from pipeline.report.shortcuts import shortcut_table


def test_what_tells_stands_in_a_row() -> None:
    columns = (("codec", 0.91), ("bit rate", 0.8), ("padding", 0.51), ("duration", 0.5))
    found = [
        Shortcut("d", "train", 90, 12, Answer(0.912, (0.4, 0.61)), Answer(0.55), columns),
        Shortcut("d", "expanded", 9, 2),
    ]
    table = shortcut_table(found)
    assert len(table.align) == len(table.head)
    assert table.rows == (
        (
            *("d", "train", 12, "0.912 (by chance 0.400 to 0.610)", "0.550"),
            "codec 0.910, bit rate 0.800, padding 0.510",
        ),
        ("d", "expanded", 2, "too few", "too few", ""),
    )
