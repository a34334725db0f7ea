"""What lies outside the labelled parts of a fake, as rows of their own."""

import pytest

from pipeline.audit.videos import audit
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run


@pytest.fixture
def look(tmp_path):
    for name in "abc":
        put(tmp_path / f"wild/{name}.mp4", name.encode())
    lines = [
        "path,label,split,method,identity,target_id,source_id,pair_id,group,parts",
        "a.mp4,fake,train,swap,ann,bob,ann,scene,g,1-2;4-4.2",
        "b.mp4,fake,test,lips,,,,,,3-4",
        "c.mp4,fake,test,lips,,,,,,",
    ]
    put(tmp_path / "wild/wild.csv", "\n".join(lines).encode())

    def looked(**options):
        options = {"manifest": "wild.csv"} | options
        found = run(entry("csv", tmp_path / "wild", **options), tmp_path / "cache")
        assert rejects(found) == {}
        return found

    return looked


def test_nothing_by_default(look):
    assert list(rows(look())) == ["ds/lips/b", "ds/lips/c", "ds/swap/a"]
    assert rows(look()) == rows(look(outside="exclude"))


def test_rows_of_their_own_of_fakes_in_parts(look):
    found = look(outside="real")
    table = rows(found)
    assert list(table) == ["ds/lips/b", "ds/lips/c", "ds/real/a", "ds/real/b", "ds/swap/a"]
    fake, real = table["ds/swap/a"], table["ds/real/a"]
    same = ("path", "split", "pair_id", "leak_group", "segments_s", "fingerprint", "audio_fake")
    assert {name: fake[name] for name in same} == {name: real[name] for name in same}
    assert (real["label"], real["method"], real["category"]) == (0, "real", "real")
    assert (fake["outside"], real["outside"]) == (0, 1)
    # Ann's face is shown where it was put in, and Bob's elsewhere.
    assert (fake["identity"], real["identity"]) == ("ds:ann", "ds:bob")
    assert (real["target_id"], real["source_id"]) == ("", "")
    assert table["ds/lips/b"]["pair_id"] == table["ds/real/b"]["pair_id"] == "ds:b.mp4"
    assert table["ds/lips/c"]["pair_id"] == ""


def test_the_same_bytes_of_both_are_no_conflict(look):
    found = look(outside="real")
    kinds = {finding.kind for finding in audit(found.videos, found.rejected)}
    assert not kinds & {"conflict", "duplicate", "leak"}


def test_another_word(look):
    with pytest.raises(UserError, match=r"outside is 'fake' but must be one of exclude, real"):
        look(outside="fake")
