import io
import tarfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from faceshards import keys, tar
from pipeline.engine.buckets import bucket_count, buckets_of

# File names can hold any of these; lone surrogates are no text and cannot be in a table.
PART = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
LONG = st.text("ü.a/~%", min_size=1, max_size=300)
NAME = st.one_of(PART, LONG, st.just("a.b"), st.just("a%2Eb"), st.just(".."), st.just("~" * 91))
SAMPLE_IDS = st.builds(
    keys.face_id,
    st.builds(keys.video_id, PART, PART, NAME),
    st.integers(0, 10**6),
    st.integers(0, 99),
)
HASHES = st.integers(0, 2**64 - 1)


@given(st.lists(SAMPLE_IDS, unique=True, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_any_ids_give_names_that_a_plain_tar_reader_gives_back(ids: list[str]) -> None:
    names = [f"{keys.encode_id(i)}.{e}" for i in ids for e in ("jpg", "json", "mask.png")]
    file = io.BytesIO()
    for name in names:
        tar.append(file, name, name.encode())
    tar.finish(file)
    file.seek(0)
    with tarfile.open(fileobj=file) as read:
        assert [(m.name, read.extractfile(m).read().decode()) for m in read] == [
            (name, name) for name in names
        ]
    assert len(set(names)) == len(names)
    for name in names:
        head, _, extension = name.partition(".")
        assert extension in ("jpg", "json", "mask.png")
        assert head.isascii()
        assert head.count("/") == 3


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(20, 90))
def test_short_parts_are_standard_percent_encoding(part: str, limit: int) -> None:
    from urllib.parse import unquote

    encoded = keys.encode_part(part, limit)
    assert len(encoded) <= limit
    assert set(encoded) <= set("-_%~") | set("0123456789") | {c for c in encoded if c.isalpha()}
    if "~" not in encoded:
        assert unquote(encoded) == part  # so that different parts have different encodings


def test_a_part_is_shortened_only_where_it_must_be() -> None:
    assert keys.encode_part("a" * 90, 90) == "a" * 90
    short = keys.encode_part("a" * 91, 90)
    assert (len(short), short[:73], short[73]) == (90, "a" * 73, "~")
    assert keys.encode_part("a" * 91, 90) != keys.encode_part("a" * 92, 90)
    # What looks like a shortened part is none: "~" is encoded.
    assert "~" not in keys.encode_part(short[60:], 90)


def test_ids_read_as_documented() -> None:
    face = keys.face_id(keys.video_id("ffpp", "real", "a/b.c"), 7, 1)
    assert face == "ffpp/real/a/b.c/00007-1"
    assert keys.encode_id(face) == "ffpp/real/a%2Fb%2Ec/00007-1"
    assert keys.swap_id(face, "swap_eye", 3) == "ffpp/swap_eye/a/b.c/00007-1-3"


@given(st.lists(HASHES, max_size=50), st.integers(1, 70))
def test_one_more_bucket_splits_exactly_one(hashes: list[int], n: int) -> None:
    before = buckets_of(np.array(hashes, np.uint64), n).tolist()
    after = buckets_of(np.array(hashes, np.uint64), n + 1).tolist()
    moved = {b for b, a in zip(before, after, strict=True) if a != b}
    assert all(0 <= b < n for b in before)
    # The bucket that splits is n without its highest bit; what leaves it goes to the new bucket n.
    assert moved <= {n - (1 << (n.bit_length() - 1))}
    assert {a for b, a in zip(before, after, strict=True) if a != b} <= {n}


def test_buckets_are_even_within_a_factor_of_two() -> None:
    for n in (1, 7, 40):
        hashes = np.array([keys.hash64(f"video {i}") for i in range(4000)], np.uint64)
        counts = np.bincount(buckets_of(hashes, n), minlength=n)
        # A bucket that has split holds half of one that has not, besides chance.
        assert counts.max() < 3.2 * counts.min()


@given(st.integers(0, 10**6), st.integers(1, 10**5))
def test_bucket_count_holds_the_target(rows: int, target: int) -> None:
    n = bucket_count(rows, target)
    assert n >= 1
    assert n * target >= rows
    assert n == 1 or (n - 1) * target < rows


def test_hashes_are_those_of_blake2b() -> None:
    import hashlib

    assert keys.hash64("é") == int(hashlib.blake2b("é".encode(), digest_size=8).hexdigest(), 16)
    assert keys.digest128(b"x") == hashlib.blake2b(b"x", digest_size=16).hexdigest()
