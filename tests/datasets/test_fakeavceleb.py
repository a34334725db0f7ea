import pytest

from pipeline.datasets.fakeavceleb import META
from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run

HEADER = "source,target1,target2,method,category,type,race,gender,path,"
YT = "7qqJVUnHEo4"
LINES = [
    # type, race, person, file, method
    ("RealVideo-RealAudio", "African", "id00076", "00109.mp4", "real"),
    ("RealVideo-FakeAudio", "African", "id00076", "00109_fake.mp4", "rtvc"),
    ("FakeVideo-RealAudio", "African", "id00076", "00109_2.mp4", "faceswap"),
    ("FakeVideo-RealAudio", "African", "id00076", f"00109_id00173_{YT}.mp4", "fsgan"),
    ("FakeVideo-RealAudio", "African", "id00076", "00109_id00366_wavtolip.mp4", "wav2lip"),
    ("FakeVideo-FakeAudio", "Asian (East)", "id00056", "00029_id00771_wavtolip.mp4", "wav2lip"),
    (
        "FakeVideo-FakeAudio",
        "Asian (East)",
        "id00056",
        f"00029_id00173_{YT}_id00771_wavtolip.mp4",
        "fsgan-wav2lip",
    ),
    (
        "FakeVideo-FakeAudio",
        "Asian (East)",
        "id00056",
        f"00029_id00173_{YT}_faceswap_id00771_wavtolip.mp4",
        "faceswap-wav2lip",
    ),
]


def put_meta(root, lines, name="FakeAVCeleb"):
    text = [HEADER]
    for kind, race, person, file, method in lines:
        folder = f"{name}/{kind}/{race}/men/{person}"
        text.append(f"{person},fake.mp4,-,{method},A,{kind},{race},men,{file},{folder}")
    put(root / META, "\n".join(text).encode())


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "fav"
    put_meta(root, LINES)
    for kind, race, person, file, _ in LINES:
        put(root / kind / race / "men" / person / file, file.encode())
    return root


@pytest.fixture
def look(tmp_path):
    def looked(*roots, options=None, **params):
        entries = entry("fakeavceleb", *roots, name="fav", **(options or {}))
        return run(entries, tmp_path / "cache", **params)

    return looked


def by_file(found):
    return {row["path"].rsplit("/", 1)[1]: row for row in rows(found).values()}


def test_labels_are_of_the_picture(root, look):
    found = by_file(look(root, audio_only="real"))
    assert {
        file: (row["label"], row["audio_fake"], row["method"]) for file, row in found.items()
    } == {
        "00109.mp4": (0, 0, "real"),
        "00109_fake.mp4": (0, 1, "rtvc"),
        "00109_2.mp4": (1, 0, "faceswap"),
        f"00109_id00173_{YT}.mp4": (1, 0, "fsgan"),
        "00109_id00366_wavtolip.mp4": (1, 0, "wav2lip"),
        "00029_id00771_wavtolip.mp4": (1, 1, "wav2lip"),
        f"00029_id00173_{YT}_id00771_wavtolip.mp4": (1, 1, "fsgan-wav2lip"),
        f"00029_id00173_{YT}_faceswap_id00771_wavtolip.mp4": (1, 1, "faceswap-wav2lip"),
    }
    assert found["00109_fake.mp4"]["category"] == "real"


def test_audio_only_fakes_are_excluded_by_default(root, look):
    found = look(root)
    assert found.metrics["outputs"] == 7
    assert rejects(found) == {
        "fav/RealVideo-FakeAudio/African/men/id00076/00109_fake.mp4": "excluded"
    }


@pytest.mark.parametrize(
    ("file", "shown", "target", "source"),
    [
        ("00109.mp4", "id00076", "", ""),
        ("00109_2.mp4", "", "id00076", ""),
        (f"00109_id00173_{YT}.mp4", "id00173", "id00076", "id00173"),
        ("00109_id00366_wavtolip.mp4", "id00076", "id00076", "id00366"),
        ("00029_id00771_wavtolip.mp4", "id00056", "id00056", "id00771"),
        (f"00029_id00173_{YT}_id00771_wavtolip.mp4", "id00173", "id00056", "id00173"),
    ],
)
def test_people(root, look, file, shown, target, source):
    row = by_file(look(root))[file]
    people = [row[c].removeprefix("voxceleb-id:") for c in ("identity", "target_id", "source_id")]
    assert people == [shown, target, source]
    person = "id00076" if file.startswith("00109") else "id00056"
    assert (row["pair_id"], row["leak_group"]) == (
        f"fav:{person}/{file[:5]}",
        f"voxceleb-id:{person}",
    )


def test_a_path_listed_twice(root, look):
    twice = ("FakeVideo-FakeAudio", "Asian (East)", "id00056", "00029_id00771_wavtolip.mp4")
    for methods in (("faceswap-wav2lip", "wav2lip"), ("wav2lip", "faceswap-wav2lip")):
        lines = [line for line in LINES if line[3] != twice[3]]
        put_meta(root, lines + [(*twice, method) for method in methods])
        found = look(root)
        assert by_file(found)[twice[3]]["method"] == "wav2lip"
        rejected = [r for r in found.rejected.to_pylist() if r["reason"] == "duplicate"]
        assert len(rejected) == 1
        assert rejected[0]["id"].endswith(twice[3])
        assert "as faceswap-wav2lip" in rejected[0]["detail"]


def test_the_csv_holds_where_the_name_looks_otherwise(root, look):
    put_meta(root, [*LINES[:5], (*LINES[5][:4], "faceswap-wav2lip"), *LINES[6:]])
    assert by_file(look(root))["00029_id00771_wavtolip.mp4"]["method"] == "faceswap-wav2lip"


@pytest.mark.parametrize("spelling", ["Asian_East", "asian-east", "AsianEast"])
def test_other_spellings(root, look, spelling):
    folder = root / "FakeVideo-FakeAudio"
    (folder / "Asian (East)").rename(folder / spelling)
    put_meta(root, LINES, "FakeAVCeleb_v1.2")
    found = look(root)
    assert found.metrics["outputs"] == 7
    assert f"FakeVideo-FakeAudio/{spelling}/men/id00056" in "".join(rows(found))


def test_the_other_header(root, look):
    text = ["source,method,category,type,race,gender,filename,path"]
    for kind, race, person, file, method in LINES:
        text.append(f"{person},{method},A,{kind},{race},men,{file},{kind}/{race}/men/{person}")
    put(root / META, "\r\n".join(text).encode("utf-8-sig"))
    assert look(root).metrics["outputs"] == 7


def test_gaps(root, look):
    (root / "RealVideo-RealAudio/African/men/id00076/00109.mp4").unlink()
    put(root / "RealVideo-RealAudio/African/men/id00076/00500.mp4")
    put(root / "RealVideo-RealAudio/note.txt")
    for file in (root / "RealVideo-FakeAudio").rglob("*.mp4"):
        file.unlink()
    (root / "RealVideo-FakeAudio").rename(root / "elsewhere")
    assert rejects(look(root)) == {
        "fav/RealVideo-RealAudio/African/men/id00076/00109.mp4": "missing",
        "fav/RealVideo-RealAudio/African/men/id00076/00500.mp4": "inconsistent",
        "fav/RealVideo-RealAudio/note.txt": "unsupported_media",
    }


def many(root, people=120):
    """Everyone's real, and a swap with the next person's face."""
    lines = []
    for n in range(people):
        person, donor = f"id{n:05}", f"id{(n + 1) % people:05}"
        lines.append(("RealVideo-RealAudio", "African", person, "00001.mp4", "real"))
        lines.append(("FakeVideo-RealAudio", "African", person, f"00001_{donor}_{YT}.mp4", "fsgan"))
    put_meta(root, lines)
    for kind, race, person, file, _ in lines:
        put(root / kind / race / "men" / person / file, b"x")
    return root


def test_our_split_is_disjoint_and_about_70_15_15(tmp_path, look):
    found = look(many(tmp_path / "many"))
    of = {}
    for row in rows(found).values():
        of.setdefault(row["leak_group"], set()).add(row["split"])
    assert {len(splits) for splits in of.values()} == {1}
    shares = [sum(split in splits for splits in of.values()) for split in ("train", "val", "test")]
    assert sum(shares) == 120
    assert 66 <= shares[0] <= 102  # four standard deviations about 84
    assert min(shares[1:]) >= 3
    assert look(tmp_path / "many").videos == found.videos
    other = look(tmp_path / "many", split_seed=1)
    assert other.videos["split"] != found.videos["split"]


def test_donors_of_other_splits_on_demand(tmp_path, look):
    found = look(many(tmp_path / "many"), options={"donors": "same_split"})
    split = {row["identity"]: row["split"] for row in rows(found).values() if row["label"] == 0}
    fakes = [row for row in rows(found).values() if row["label"] == 1]
    assert fakes
    assert all(split[row["identity"]] == split[row["target_id"]] for row in fakes)
    assert set(rejects(found).values()) == {"excluded"}
    assert len(fakes) + found.metrics["rejects"] == 120


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("", "column method, but has nothing"),
        ("a,b,c", "column method, but has a, b, c"),
        ("method,path", "a column without a name, but has method, path"),
        ("method,filename", "column path, but has method, filename"),
    ],
)
def test_a_foreign_csv(root, look, text, absent):
    put(root / META, text.encode())
    with pytest.raises(UserError, match=f"the first line must name {absent}"):
        look(root)


def test_a_damaged_line_is_told_and_never_vanishes(root, look):
    text = (root / META).read_text()
    put(root / META, text.replace("men,00109.mp4", "men,001\x00.mp4").encode())
    with pytest.raises(UserError, match=rf"{META}: line 2 holds a zero byte. Take the official"):
        look(root)
    put(
        root / META,
        f"{text}\nx,fake\nid1,id2,id3,wav2lip,a,b,c,d,1.mp4,Fake/Somewhere/1\n".encode(),
    )
    found = look(root)
    assert found.metrics["outputs"] == 7
    details = [r["detail"] for r in found.rejected.to_pylist() if r["reason"] == "inconsistent"]
    assert len(details) == 2
    assert all("names none of the folders RealVideo-RealAudio" in detail for detail in details)


def test_a_file_outside_a_persons_folder(root, look):
    put_meta(root, [*LINES, ("RealVideo-RealAudio", "African", "someone", "1.mp4", "real")])
    put(root / "RealVideo-RealAudio/African/men/someone/1.mp4")
    found = rejects(look(root))
    assert found["fav/RealVideo-RealAudio/African/men/someone/1.mp4"] == "inconsistent"
