"""Against the tars that Python's own library writes."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.datasets.tar_names import walk

parts = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda part: part not in (".", ".."))
members = st.lists(
    st.tuples(st.lists(parts, min_size=1, max_size=5).map("/".join), st.integers(0, 2000)),
    max_size=6,
)
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def names(tar):
    """Names of the regular files in a tar, in order."""
    return (member.name for member in walk(tar) if member.regular)


def written(found, form):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, size in found:
            folder = tarfile.TarInfo(f"in {name}"[:200])
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, name
            archive.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("zipped", [False, True])
def test_names_are_those_written(tmp_path_factory, form, zipped):
    path = tmp_path_factory.mktemp("tar") / "1.tar.gz"

    @given(members)
    def holds(found):
        data = written(found, FORMATS[form])
        path.write_bytes(gzip.compress(data) if zipped else data)
        assert list(names(path)) == [name for name, _ in found]

    holds()


def test_ustar_prefixes(tmp_path):
    name = "a" * 90 + "/" + "b" * 90
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    (tmp_path / "y").write_bytes(buffer.getvalue())
    assert list(names(tmp_path / "y")) == [name]


def damaged(path):
    """What comes out of a damaged tar before the error that tells it."""
    found = []

    def walk():
        found.extend(names(path))

    with pytest.raises(ValueError, match=r"missing|damaged|number|a name of"):
        walk()
    return found


def test_every_cut_and_every_damaged_byte_of_a_header_is_told(tmp_path):
    whole = written([("1/fake/0/1.png", 10), ("1/fake/0/2.png", 600)], tarfile.GNU_FORMAT)
    last_header = whole.rindex(b"ustar") - 257
    path = tmp_path / "x"
    for cut in range(0, last_header + 512, 37):
        path.write_bytes(whole[:cut])
        damaged(path)
    for at in range(0, 512, 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        damaged(path)


def test_a_name_without_end_reserves_no_memory(tmp_path):
    whole = written([("a" * 300, 1)], tarfile.GNU_FORMAT)
    start = whole.index(b"././@LongLink")
    header = bytearray(whole[start : start + 512])
    header[124:136] = b"77777777777\0"
    header[148:156] = b"%06o\0 " % (sum(header) - sum(header[148:156]) + 8 * 32)
    (tmp_path / "x").write_bytes(header)
    assert damaged(tmp_path / "x") == []
