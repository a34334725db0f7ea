import pytest

from pipeline.errors import UserError
from tests.datasets.trees import entry, put, rejects, rows, run


@pytest.fixture
def wild(tmp_path):
    """Scans a folder with a.mp4 … d.mp4 and a manifest of these lines."""
    root = tmp_path / "wild"
    for name in "abcd":
        put(root / f"{name}.mp4", name.encode())

    def scanned(*lines, encoding="utf-8", **options):
        put(root / "wild.csv", "\n".join(lines).encode(encoding))
        options = {"manifest": "wild.csv"} | options
        return run(entry("csv", root, name="wild", **options), tmp_path / "cache")

    scanned.root = root
    return scanned


def test_two_columns_are_enough(wild):
    found = wild("path,label", "a.mp4,real", "b.mp4,fake")
    a, b = rows(found)["wild/real/a"], rows(found)["wild/unknown/b"]
    assert (a["label"], a["method"], a["category"], a["split"]) == (0, "real", "real", "test")
    assert (b["label"], b["method"], b["category"], b["split"]) == (1, "unknown", "unknown", "test")
    for row in (a, b):
        absent = ("identity", "target_id", "source_id", "pair_id", "leak_group", "compression")
        assert {row[name] for name in absent} == {""}
        assert (row["audio_fake"], row["segments_s"]) == (-1, [])


def test_every_column(wild):
    found = wild(
        "notes,path,label,split,method,category,subtype,source_id,target_id,identity,audio_fake,"
        "compression,start_s,end_s,group,pair_id",
        '"a, b",a.mp4,fake,train,wav2lip,RE,lip_sync,s,t,ffpp:000,1,c23,1.5,4,g,p',
    )
    row = rows(found)["wild/wav2lip/a"]
    assert {k: row[k] for k in ("split", "category", "subtype", "audio_fake", "compression")} == {
        "split": "train",
        "category": "RE",
        "subtype": "lip_sync",
        "audio_fake": 1,
        "compression": "c23",
    }
    assert (row["source_id"], row["target_id"]) == ("wild:s", "wild:t")
    assert (row["identity"], row["leak_group"], row["pair_id"]) == ("ffpp:000", "wild:g", "wild:p")
    assert row["segments_s"] == [1.5, 4.0]


def test_the_group_is_the_identity_where_absent(wild):
    found = wild("path,label,identity,group", "a.mp4,real,ann,", "b.mp4,real,ann,g")
    assert [row["leak_group"] for row in rows(found).values()] == ["wild:ann", "wild:g"]


@pytest.mark.parametrize(
    ("words", "one_is", "labels"),
    [
        (["real", "FAKE", "Genuine", "manipulated"], "fake", [0, 1, 0, 1]),
        (["real", "FAKE", "Genuine", "manipulated"], "real", [0, 1, 0, 1]),
        (["0", "1", "0", "1"], "fake", [0, 1, 0, 1]),
        (["0", "1", "0", "1"], "real", [1, 0, 1, 0]),
    ],
)
def test_label_words(wild, words, one_is, labels):
    lines = [f"{name}.mp4,{word}" for name, word in zip("abcd", words, strict=True)]
    found = wild("path,label", *lines, label_one_is=one_is)
    by_path = sorted(rows(found).values(), key=lambda row: row["path"])
    assert [row["label"] for row in by_path] == labels


@pytest.mark.parametrize("word", ["", "unknown", "2", "-1", "1.0", "deepfake"])
def test_an_unknown_label_is_rejected_with_its_line(wild, word):
    found = wild("path,label", "a.mp4,real", "", f"b.mp4,{word}")
    [reject] = found.rejected.to_pylist()
    assert (reject["id"], reject["reason"]) == ("wild/b.mp4", "unknown_label")
    assert reject["detail"].startswith(f"line 4: label '{word}'")


def test_files_that_cannot_be_used(wild):
    put(wild.root / "empty.mp4", b"")
    (wild.root / "loop.mp4").symlink_to("loop.mp4")
    (wild.root / "link.mp4").symlink_to("b.mp4")
    (wild.root / "folder.mp4").mkdir()
    put(wild.root / "notes.txt")
    (wild.root / "no pictures").mkdir()
    found = wild(
        "path,label",
        *("a.mp4,real", "./a.mp4,real", "link.mp4,real", "gone.mp4,real", "a.mp4/b.mp4,real"),
        *("empty.mp4,fake", "loop.mp4,fake", "folder.mp4,fake", "notes.txt,fake", "frames,fake"),
        "no pictures,fake",
        f"{'x' * 300}.mp4,fake",
    )
    assert rejects(found) == {
        "wild/a.mp4": "duplicate",
        "wild/gone.mp4": "missing",
        "wild/a.mp4/b.mp4": "missing",
        "wild/empty.mp4": "empty",
        "wild/loop.mp4": "unreadable",
        "wild/folder.mp4": "unsupported_media",
        "wild/notes.txt": "unsupported_media",
        "wild/frames": "missing",
        "wild/no pictures": "empty",
        f"wild/{'x' * 300}.mp4": "unreadable",
    }
    assert sorted(rows(found)) == ["wild/real/a", "wild/real/link"]
    assert (found.metrics["inputs"], found.metrics["rejects"]) == (12, 10)


def test_pictures_and_folders_of_pictures(wild):
    put(wild.root / "one.JPG")
    put(wild.root / "clip.v1/000.png")
    put(wild.root / "clip/000.png")
    found = wild("path,label", "one.JPG,real", "clip.v1,fake", "clip/,fake")
    assert {i: row["media"] for i, row in rows(found).items()} == {
        "wild/real/one": "image",
        "wild/unknown/clip.v1": "frames",
        "wild/unknown/clip": "frames",
    }


def test_label_and_method_must_agree(wild):
    found = wild(
        "path,label,method,category,audio_fake",
        *("a.mp4,real,wav2lip,,", "b.mp4,fake,real,,", "c.mp4,fake,x,real,", "d.mp4,real,rtvc,,1"),
    )
    assert set(rejects(found).values()) == {"inconsistent"}
    assert [row["method"] for row in rows(found).values()] == ["rtvc"]
    assert rows(found)["wild/rtvc/d"]["category"] == "real"


def test_absolute_paths_below_the_root(wild):
    found = wild("path,label", f"{wild.root}/a.mp4,real")
    assert rows(found)["wild/real/a"]["path"] == "a.mp4"


@pytest.mark.parametrize("path", ["../a.mp4", "x/../../a.mp4", "/etc/passwd.mp4", "", ".", "/"])
def test_paths_outside_the_root(wild, path):
    with pytest.raises(UserError, match=r"wild\.csv, line 2: path .* is not below .*wild"):
        wild("path,label", f"{path},real")


def test_names_that_differ_by_suffix_keep_it(wild):
    for name in ("a.avi", "a.mp4.avi", "b.MOV"):
        put(wild.root / name)
    names = ("a.mp4", "a.avi", "a.mp4.avi", "b.MOV")
    found = wild("path,label", *(f"{name},real" for name in names))
    assert {key: row["path"] for key, row in rows(found).items()} == {
        "wild/real/a.mp4": "a.mp4",
        "wild/real/a.avi": "a.avi",
        "wild/real/a.mp4.avi": "a.mp4.avi",
        "wild/real/b": "b.MOV",
    }


def test_excel_writes_a_byte_order_mark_and_crlf(wild):
    found = wild("path , label\r", "a.mp4, real\r", encoding="utf-8-sig")
    assert list(rows(found)) == ["wild/real/a"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the first line must name column path, but has nothing"),
        (["path;label", "a.mp4;real"], "must name column path, but has path;label"),
        (["path", "a.mp4"], "must name column label"),
        (["path,label,identiy"], r"unknown column identiy\. Did you mean identity\?"),
        (["path,label,"], r"unknown column \(no name\)"),
        (["path,label,path"], "column path is there twice"),
        (["path,label", "a.mp4,real,x"], "line 2: 3 cells, but the header has 2"),
        (["path,label,split", "a.mp4,real,training"], "line 2: split is 'training'.* train, val"),
        (["path,label,category", "a.mp4,fake,swap"], "line 2: category is 'swap'.* FS, RE"),
        (["path,label,audio_fake", "a.mp4,fake,yes"], "line 2: audio_fake is 'yes'"),
        (["path,label,method", "a.mp4,fake,x/y"], "line 2: method 'x/y' has a slash"),
        (["path,label,method", "a.mp4,fake,swap_eye"], "swap_eye is the name of a method whose"),
        (["path,label", "a.mp4,real", "a.mp4,fake"], "line 3: a.mp4 has another label .* line 2"),
        (
            ["path,label", '"a.mp4,real'],
            "line 2 is no line of a CSV file: unexpected end",
        ),
        (["path,label", "gone.mp4,real"], r"no usable video .* such as wild/gone\.mp4: listed"),
        (["path,label"], "wild: there is no video below"),
    ],
)
def test_mistakes_are_named(wild, lines, message):
    with pytest.raises(UserError, match=message):
        wild(*lines)


@pytest.mark.parametrize(
    ("start", "end"), [("1", ""), ("-1", "2"), ("2", "2"), ("a", "3"), ("0", "inf"), ("nan", "3")]
)
def test_impossible_segments(wild, start, end):
    with pytest.raises(UserError, match=r"line 2: start_s .* are not two times in seconds"):
        wild("path,label,start_s,end_s", f"a.mp4,fake,{start},{end}")


def test_a_segment_from_the_start(wild):
    found = wild("path,label,start_s,end_s", "a.mp4,fake,,3")
    assert rows(found)["wild/unknown/a"]["segments_s"] == [0.0, 3.0]


def test_latin1_is_an_error(wild):
    with pytest.raises(UserError, match=r"line 2 is not text in UTF-8: .* save it as CSV in UTF-8"):
        wild("path,label", "é.mp4,real", encoding="latin-1")


def test_a_manifest_that_is_not_there(wild):
    with pytest.raises(UserError, match=r"no file .*other\.csv.*expects the CSV file"):
        wild("path,label", manifest="other.csv")


def test_a_manifest_outside_the_root(wild, tmp_path):
    put(tmp_path / "elsewhere.csv", b"path,label\na.mp4,real\n")
    found = wild("path,label", manifest=str(tmp_path / "elsewhere.csv"))
    assert list(rows(found)) == ["wild/real/a"]


def test_several_roots_have_a_manifest_each(tmp_path):
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        put(root / "a.mp4")
        put(root / "list.csv", b"path,label\na.mp4,real\n")
    found = run(entry("csv", *roots, name="wild", manifest="list.csv"), tmp_path / "cache")
    paths = {key: row["path"] for key, row in rows(found).items()}
    assert paths == {"wild/real/0/a": "0/a.mp4", "wild/real/1/a": "1/a.mp4"}
    with pytest.raises(UserError, match="must be relative"):
        run(entry("csv", *roots, manifest=str(roots[0] / "list.csv")), tmp_path / "cache")


@pytest.mark.parametrize("name", [" e.mp4", "e.mp4 "])
def test_blanks_at_the_ends_of_a_name_count_where_there_is_such_a_file(wild, name):
    put(wild.root / name, b"e")
    found = wild("path, label", f"{name}, real", " a.mp4 , fake ")
    assert {row["path"] for row in rows(found).values()} == {name, "a.mp4"}
    assert rejects(found) == {}


def test_a_method_that_other_datasets_know_is_known_here(wild):
    found = wild("path,label,method,category", "a.mp4,fake,SadTalker,", "b.mp4,fake,SadTalker,FS")
    kinds = {name: (row["category"], row["subtype"]) for name, row in rows(found).items()}
    assert kinds == {
        "wild/SadTalker/a": ("RE", "talking_head"),
        "wild/SadTalker/b": ("FS", ""),
    }


def test_parts_in_one_line_or_in_several(wild):
    found = wild(
        "path,label,start_s,end_s,parts,notes",
        "a.mp4,fake,,,1.5-2 ; 3 - 3.25,two words",
        "b.mp4,fake,1,2,,first",
        "b.mp4,1,,,5-6;7-8,second and third",
        "b.mp4,fake,1,2,,the first again",
        "c.mp4,fake,,,,",
        "c.mp4,fake,,,,",
    )
    table = rows(found)
    assert table["wild/unknown/a"]["segments_s"] == [1.5, 2.0, 3.0, 3.25]
    assert table["wild/unknown/b"]["segments_s"] == [1.0, 2.0, 5.0, 6.0, 7.0, 8.0]
    assert table["wild/unknown/c"]["segments_s"] == []
    assert rejects(found) == {"wild/b.mp4": "duplicate", "wild/c.mp4": "duplicate"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.mp4,fake,,,1-2,", "a.mp4,fake,,,3-4,x"], r"line 3: a.mp4 has method 'x' here and ''"),
        (["a.mp4,fake,,,1-2,", "a.mp4,fake,,,,"], "line 3: of this line and line 2, one labels"),
        (["a.mp4,fake,,,,", "a.mp4,fake,1,2,,"], "line 3: of this line and line 2, one labels"),
        (["a.mp4,fake,1,2,3-4,"], "line 2: it has start_s or end_s, and parts too"),
        (["a.mp4,fake,,,1-2,", "a.mp4,real,,,3-4,"], "line 3: a.mp4 has another label"),
        *(
            ([f"a.mp4,fake,,,{parts},"], "line 2: parts is '.*', but must be times in seconds")
            for parts in ("2-1", "1-1", "1", "1-2;", "-1-2", "a-b", "1-inf", "1-2-3")
        ),
    ],
)
def test_impossible_parts(wild, lines, message):
    with pytest.raises(UserError, match=message):
        wild("path,label,start_s,end_s,parts,method", *lines)


def test_pairs_and_masks(wild):
    found = wild(
        "path,label,pair_path,mask_path",
        "a.mp4,fake,b.mp4,c.mp4",
        "d.mp4,fake,gone.mp4,",
        "b.mp4,real,,",
    )
    row, lonely = rows(found)["wild/unknown/a"], rows(found)["wild/unknown/d"]
    assert (row["pair_path"], row["mask_path"]) == ("b.mp4", "c.mp4")
    assert row["pair_fingerprint"] == rows(found)["wild/real/b"]["fingerprint"]
    assert len({row["pair_fingerprint"], row["mask_fingerprint"], ""}) == 3
    told = ("pair_path", "pair_fingerprint", "mask_path", "mask_fingerprint")
    assert {lonely[name] for name in told} == {""}
    with pytest.raises(UserError, match="not below the dataset's root"):
        wild("path,label,pair_path", "a.mp4,fake,../b.mp4")


def test_ids_as_stated(wild):
    found = wild(
        "path,label,method,id", "a.mp4,fake,m,x/y.1", "b.mp4,fake,m,wild/m/z", "c.mp4,real,,"
    )
    assert set(rows(found)) == {"wild/m/x/y.1", "wild/m/z", "wild/real/c"}
    # A stated id may be what another row's path gives; that one keeps its suffix then.
    found = wild("path,label,id", "a.mp4,real,b", "b.mp4,real,")
    assert set(rows(found)) == {"wild/real/b", "wild/real/b.mp4"}


@pytest.mark.parametrize("text", ["a/../b", "/a", "a//b", "a/"])
def test_an_id_that_is_no_plain_path_is_rejected(wild, text):
    found = wild("path,label,id", f"a.mp4,real,{text}", "b.mp4,real,")
    assert rejects(found) == {"wild/a.mp4": "inconsistent"}


def test_one_id_for_two_rows_is_told(wild):
    with pytest.raises(UserError, match="two rows have the id wild/real/x"):
        wild("path,label,id", "a.mp4,real,x", "b.mp4,real,x")
