from pipeline.audit.parts import FACE, PartCount
from pipeline.report.parts import HEAD, part_table


def test_parts_are_shared_out_by_what_became_of_them() -> None:
    counts = [
        PartCount("lav", "train", FACE, 7, ("lav/m/a, part 1: 1 to 2",)),
        PartCount("lav", "train", "the detector found no face", 2, ("lav/m/b, part 2: 3 to 4",)),
        PartCount("lav", "test", FACE, 1, ("lav/m/c, part 1: 1 to 2",)),
    ]
    table = part_table(counts)
    assert table.head == HEAD
    assert table.rows == (
        ("lav", "train", 9, 7, FACE, ""),
        ("lav", "train", 9, 2, "the detector found no face", "lav/m/b, part 2: 3 to 4"),
        ("lav", "test", 1, 1, FACE, ""),
    )
    assert not part_table([]).rows
