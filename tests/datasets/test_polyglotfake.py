import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put_all, rejects, rows, run

TREE = """
    real/es/{es_1,es_2}.mp4
    fake/to_ru/{es_1_to_ru_Xtts,es_2_to_ru_Bark_wav2lip,en_5_to_ru_Micro_VideoRetalking}.mp4
    fake/to_ru/es_9.mp4
    real/intro.mp4
"""


@pytest.fixture
def look(tmp_path):
    def looked(tree=TREE):
        root = put_all(tmp_path / "pgf", tree)
        return run(entry("polyglotfake", root, name="pgf"), tmp_path / "cache")

    return looked


def test_names(look):
    found = look()
    columns = ("label", "audio_fake", "method", "pair_id")
    assert {
        row["path"].rsplit("/", 1)[1]: [row[c] for c in columns] for row in rows(found).values()
    } == {
        "es_1.mp4": [0, 0, "real", "pgf:es_1"],
        "es_2.mp4": [0, 0, "real", "pgf:es_2"],
        "es_1_to_ru_Xtts.mp4": [1, 1, "polyglotfake_unknown", "pgf:es_1"],
        "es_2_to_ru_Bark_wav2lip.mp4": [1, 1, "wav2lip", "pgf:es_2"],
        "en_5_to_ru_Micro_VideoRetalking.mp4": [1, 1, "video_retalking", "pgf:en_5"],
    }
    fakes = [row for row in rows(found).values() if row["label"]]
    assert {(row["category"], row["subtype"]) for row in fakes} == {("RE", "lip_sync")}
    assert rejects(found) == {
        "pgf/fake/to_ru/es_9.mp4": "inconsistent",
        "pgf/real/intro.mp4": "inconsistent",
    }


def test_a_clip_and_what_was_made_of_it_are_in_one_split(look):
    tree = "\n".join(f"real/es/es_{n}.mp4 fake/to_ru/es_{n}_to_ru_Xtts.mp4" for n in range(60))
    of = {}
    for row in rows(look(tree)).values():
        of.setdefault(row["pair_id"], set()).add(row["split"])
    assert {len(splits) for splits in of.values()} == {1}
    assert set().union(*of.values()) == {"train", "val", "test"}


def test_another_root(look):
    with pytest.raises(UserError, match="does not look like"):
        look("es/es_1.mp4")
