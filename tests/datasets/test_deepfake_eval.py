import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run

HEADER = (
    "Filename,Date,Video Ground Truth,Audio Ground Truth,Public Comments,Finetuning Set,Link\r\n"
)
LINES = (
    'a.mp4,2024-01-01,Fake,Fake,"two lines,\r\nsaid one",train,x\r\n'
    "b.webm,2024-01-01,Real,Fake,,test,x\r\n"
    "c.mp4,2024-01-01,Unknown,Unknown,,train,x\r\n"
    "d.mp4,2024-01-01,Fake,Unknown,,test,x\r\n"
    "e.mp4,2024-01-01,Real,Real,,Train,x\r\n"
    "e.mp4,2024-01-01,Fake,Real,,train,x\r\n"
)


@pytest.fixture
def look(tmp_path):
    root = tmp_path / "Deepfake Eval"
    for name in ("a.mp4", "b.webm", "c.mp4", "e.mp4", "extra.mp4"):
        put(root / "video-data" / name, name.encode())

    def looked(text=HEADER + LINES, name="video-metadata-publish.csv", **options):
        put(root / name, text.encode())
        return run(entry("deepfake_eval", root, name="dfe", **options), tmp_path / "cache")

    return looked


def test_rows(look):
    found = look()
    told = {
        key: (row["split"], row["label"], row["category"], row["audio_fake"])
        for key, row in rows(found).items()
    }
    assert told == {
        "dfe/unknown/video-data/a": ("train", 1, "unknown", 1),
        "dfe/real/video-data/b": ("test", 0, "real", 1),
        "dfe/real/video-data/e": ("train", 0, "real", 0),
    }
    assert rejects(found) == {
        "dfe/video-data/c.mp4": "unknown_label",
        "dfe/video-data/d.mp4": "missing",
        "dfe/video-data/e.mp4": "duplicate",
        "dfe/video-data/extra.mp4": "inconsistent",
    }
    assert found.metrics["inputs"] == found.metrics["outputs"] + found.metrics["rejects"] == 7


def test_all_of_it_as_test(look):
    found = look(name="video-metadata-publish-with-links.csv", split="test")
    assert {row["split"] for row in found.videos.to_pylist()} == {"test"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a.mp4,,fake,maybe,,train,\r\n", "inconsistent"),
        ("a.mp4,,fake,real,,val,\r\n", "inconsistent"),
        ("a.mp4,,partial,real,,test,\r\n", "unknown_label"),
        ("../../a.mp4,,fake,real,,test,\r\n", "missing"),
    ],
)
def test_odd_lines(look, line, reason):
    found = look(HEADER + line + "e.mp4,,Real,Real,,test,\r\n")
    assert reason in rejects(found).values()
    assert found.metrics["outputs"] == 1


def test_no_list(look, tmp_path):
    with pytest.raises(
        UserError, match=r"no video-metadata-publish\.csv .* Put it at .*/x/video-meta"
    ):
        run(entry("deepfake_eval", put(tmp_path / "x/a.mp4").parent), tmp_path / "cache")


@pytest.mark.parametrize("text", ["Filename,Label\na.mp4,Fake\n", "", HEADER + 'a.mp4,"open'])
def test_another_file(look, text):
    with pytest.raises(UserError, match=r"video-metadata-publish\.csv.*Take the official file"):
        look(text)
