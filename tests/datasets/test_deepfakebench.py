import json

import pytest

from pipeline.datasets.deepfakebench import method_of
from pipeline.errors import UserError
from pipeline.labels import semantics
from tests.datasets.sketches import sketch
from tests.datasets.trees import SEMANTICS, entry, put, rejects, rows, run

FF = "FaceForensics++"
YOUTUBE = f"{FF}/original_sequences/youtube/c23/frames"
DEEPFAKES = f"{FF}/manipulated_sequences/Deepfakes/c23/frames"


def record(label, folder, *numbers, **more):
    frames = [f"{folder}/{number:03d}.png" for number in numbers or (0, 12)]
    return {"label": label, "frames": frames} | more


@pytest.fixture
def root(tmp_path):
    return sketch(
        tmp_path / "bench data",
        f"""
        {YOUTUBE}/{{000,001}}/{{000,012}}.png
        {DEEPFAKES}/000_003/{{000,012}}.png
        {DEEPFAKES.replace("/frames", "/landmarks")}/000_003/000.npy
        Celeb-DF-v2/Celeb-real/frames/id0_0000/000.png
        Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000/000.png
        DFDC/test/frames/abc/000.png
        """,
    )


@pytest.fixture
def look(root, tmp_path):
    def looked(content, **options):
        for name, labels in content.items():
            put(root / f"dataset_json/{name}.json", json.dumps({name: labels}).encode())
        return run(entry("deepfakebench", root, name="dfb", **options), tmp_path / "cache")

    return looked


def ff_list(prefix="./datasets/rgb/"):
    return {
        "FF-DF": {
            "FF-real": {
                "test": {"c23": {"000": record("FF-real", f"{prefix}{YOUTUBE}/000")}},
                "train": {"c23": {"001": record("FF-real", f"{prefix}{YOUTUBE}/001")}},
                "val": {"c23": {}},
            },
            "FF-DF": {
                "test": {
                    "c23": {"000_003": record("FF-DF", f"{prefix}{DEEPFAKES}/000_003", masks=[])}
                }
            },
        }
    }


@pytest.mark.parametrize("prefix", ["./datasets/rgb/", "../x/", "", "/abs/olute/", "a/b/c/d/e/f/"])
def test_a_list_of_faceforensics(look, prefix):
    found = look(ff_list(prefix))
    assert not rejects(found)
    table = rows(found)
    fake = table[f"dfb/Deepfakes/{DEEPFAKES}/000_003"]
    assert {k: fake[k] for k in ("split", "label", "category", "media", "compression")} == {
        "split": "test",
        "label": 1,
        "category": "FS",
        "media": "frames",
        "compression": "c23",
    }
    assert (fake["target_id"], fake["source_id"]) == ("ffpp-id:000", "ffpp-id:003")
    assert fake["identity"] == "ffpp-id:003"
    real = table[f"dfb/real/{YOUTUBE}/000"]
    assert (real["identity"], real["pair_id"]) == ("ffpp-id:000", fake["pair_id"])
    assert table[f"dfb/real/{YOUTUBE}/001"]["split"] == "train"


def test_windows_paths(look, root):
    text = json.dumps(ff_list("")["FF-DF"]).replace("/", "\\\\")
    put(root / "dataset_json/FF-DF.json", f'{{"FF-DF": {text}}}'.encode())
    assert look({}).metrics["outputs"] == 3


def test_a_video_in_several_splits_counts_once_and_never_in_train(look):
    """Published lists of Celeb-DF have the test videos in train and in val as well."""
    real = {"id0_0000": record("CelebDFv2_real", "Celeb-DF-v2/Celeb-real/frames/id0_0000", 0)}
    fake = {
        "id0_id1_0000": record(
            "CelebDFv2_fake", "Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000", 0
        )
    }
    found = look(
        {
            "Celeb-DF-v2": {
                "CelebDFv2_real": {"train": real, "val": real, "test": real},
                "CelebDFv2_fake": {"train": fake, "test": {}},
            }
        }
    )
    assert {r["method"]: r["split"] for r in rows(found).values()} == {
        "real": "test",
        "Celeb-synthesis": "train",
    }
    assert list(rejects(found).values()) == ["duplicate", "duplicate"]
    row = rows(found)["dfb/Celeb-synthesis/Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000"]
    assert row["leak_group"] == "celebdf-id:id0+celebdf-id:id1"
    assert row["identity"] == "celebdf-id:id1"


def test_the_same_video_in_two_lists(look):
    """Each list of one method has the reals again."""
    again = {"FaceForensics++": ff_list()["FF-DF"]}
    found = look(ff_list() | again)
    assert (found.metrics["outputs"], found.metrics["rejects"]) == (3, 0)


def test_what_is_wrong_in_published_lists(look):
    found = look(
        {
            "DFDC": {
                "DFDC_Fake": {
                    # A record where a mapping of videos belongs.
                    "val": record("DFDC_Fake", "DFDC/test/frames/abc", 0),
                    "test": {
                        "empty": {"label": "DFDC_Fake", "frames": []},
                        "gone": record("DFDC_Fake", "DFDC/test/frames/gone"),
                    },
                },
                "DFDC_Real": {
                    "train": {"other": record("DFDC_Real", f"{YOUTUBE}/001", 5, 6)},
                    "test": {"abc": record("DFDC_Real", "DFDC/test/frames/abc", 0)},
                },
                "mystery": {"test": {"x": record("mystery", f"{YOUTUBE}/000", 0)}},
            }
        }
    )
    assert [row["path"] for row in found.videos.to_pylist()] == ["DFDC/test/frames/abc"]
    assert rejects(found) == {
        "dfb/DFDC.json: DFDC/DFDC_Fake/val/abc": "inconsistent",
        "dfb/DFDC.json: DFDC/DFDC_Fake/test/empty": "missing",
        "dfb/DFDC.json: DFDC/DFDC_Fake/test/gone": "missing",
        f"dfb/{YOUTUBE}/001": "missing",
        f"dfb/{YOUTUBE}/000": "unknown_label",
    }


def test_a_split_without_a_known_name(look):
    """Its videos are told one by one, also where another list has them in a split that counts."""
    names = {name: record("FF-real", f"{YOUTUBE}/{name}") for name in ("000", "001")}
    found = look(ff_list() | {"more": {"FF-real": {"validation": {"c23": names}}}})
    assert found.metrics["outputs"] == 3
    assert rejects(found) == {
        "dfb/more.json: more/FF-real/validation/000": "inconsistent",
        "dfb/more.json: more/FF-real/validation/001": "inconsistent",
    }


def test_names_that_no_disk_can_hold_are_missing(look):
    names = {n: record("FF-real", f"{YOUTUBE}/{n}") for n in ("z" * 300, "a\0b")}
    found = look(ff_list() | {"more": {"FF-real": {"test": {"c23": names}}}})
    assert found.metrics["outputs"] == 3
    assert list(rejects(found).values()) == ["missing", "missing"]


def test_some_frames_that_are_not_there(look, root):
    (root / YOUTUBE / "000/012.png").unlink()
    assert look(ff_list()).metrics["outputs"] == 3


def test_labels():
    assert method_of("FF-FH") == "FaceShifter"
    assert method_of("DFD_real") == method_of("roop_Real") == "real"
    assert method_of("DFDCP_FakeA") == "method_A"
    assert method_of("simswap_Fake") == "simswap"
    assert method_of("surreal") == method_of("real") == ""


# The labels of fakes in the configuration of DF40's code.
DF40_LABELS = """
    DFD_fake FF-SH FF-F2F FF-DF FF-FS FF-NT FF-FH CelebDFv1_fake CelebDFv2_fake
    DFDCP_FakeA DFDCP_FakeB DFDC_Fake DF_fake UADFV_Fake roop_Fake FSAll_Fake FRAll_Fake
    EFSAll_Fake DF40_train_Fake e4s_Fake danet_Fake fomm_Fake Collaborative_Diffusion_Fake
    e4e_Fake hyperreenact_Fake MRAA_Fake one_shot_free_Fake pirender_Fake tpsm_Fake
    facedancer_Fake facevid2vid_Fake mcnet_Fake mraa_Fake fsgan_Fake lia_Fake inswap_Fake
    simswap_Fake sadtalker_Fake wav2lip_Fake uniface_Fake blendface_Fake mobileswap_Fake
    faceswap_Fake dalle2_face_Fake MidJourney_Fake heygen_Fake whichisreal_Fake
    StyleGAN2_Fake StyleGAN3_Fake StyleGANXL_Fake ddim_Fake DiT_Fake pixart_Fake SiT_Fake
    sd1.5_Fake sd2.1_Fake VQGAN_Fake rddm_Fake stargan_Fake starganv2_Fake styleclip_Fake
    deepfacelab_Fake CollabDiff_Fake adm_Fake biggan_Fake glide_Fake midjourney_Fake
    sdv4_Fake sdv5_Fake vqdm_Fake wukong_Fake
"""


def test_every_label_of_df40_has_a_category_and_a_vector():
    loaded = semantics.load(SEMANTICS)
    labels = DF40_LABELS.split()
    assert len(labels) == 71
    unknown = set()
    for label in labels:
        known = loaded.manipulation("mine", "deepfakebench", method_of(label))
        if known.category == "unknown" or not known.vectors:
            unknown.add(label)
    # It stands for swaps, reenactments and syntheses alike; the folder tells which.
    assert unknown == {"DF40_train_Fake"}
    for label, method in (
        ("mraa_Fake", "MRAA"),
        ("rddm_Fake", "RDDM"),
        ("whichisreal_Fake", "whichfaceisreal"),
        ("Collaborative_Diffusion_Fake", "CollabDiff"),
    ):
        assert method_of(label) == method
        assert loaded.manipulation("x", "deepfakebench", method) == loaded.manipulation(
            "x", "df40", method
        )


def test_a_label_of_several_methods_is_told_by_the_folder(look, root):
    sketch(root, "DF40/{MRAA,SimSwap}/cdf/frames/id0_id1_0000/000.png\nmix/frames/v/000.png")
    lists = {
        "DF40_all": {
            "FRAll_Fake": {
                "test": {"a": record("FRAll_Fake", "x/DF40/MRAA/cdf/frames/id0_id1_0000", 0)}
            },
            "roop_Fake": {
                "test": {"b": record("roop_Fake", "x/DF40/SimSwap/cdf/frames/id0_id1_0000", 0)}
            },
            "EFSAll_Fake": {"test": {"c": record("EFSAll_Fake", "mix/frames/v", 0)}},
        }
    }
    kinds = {r["method"]: r["category"] for r in rows(look(lists)).values()}
    assert kinds == {"MRAA": "RE", "simswap": "FS", "EFSAll": "EFS"}


def test_celeb_df_plus_plus_has_methods_where_others_have_compressions(look, root):
    top, name = "Celeb-DF-v3/Celeb-synthesis", "frames/id0_id1_0000"
    sketch(root, f"{top}/{{FaceSwap/Celeb-DF-v2,FaceReenact/LIA}}/frames/id0_id1_0000/000.png")
    fakes = {
        "Celeb-DF-v2": {
            "id0_id1_0000": record("CelebDFv3_fake", f"{top}/FaceSwap/Celeb-DF-v2/{name}", 0)
        },
        "LIA": {"id0_id1_0000": record("CelebDFv3_fake", f"{top}/FaceReenact/LIA/{name}", 0)},
    }
    found = look({"Celeb-DF-v3": {"CelebDFv3_fake": {"test": fakes}}})
    assert {(r["method"], r["category"], r["compression"]) for r in rows(found).values()} == {
        ("Celeb-synthesis", "FS", ""),
        ("LIA", "RE", ""),
    }


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": []}', '{"a": {"b": {"test": {"v": {"frames": "x"}}}}}', "[" * 99_999],
)
def test_a_damaged_list(look, root, text):
    put(root / "dataset_json/x.json", text.encode())
    with pytest.raises(UserError, match=r"x\.json is no list of DeepfakeBench"):
        look({})


def test_no_list(look, root):
    put(root / "train.json", b"[]")  # a split file of FaceForensics++
    with pytest.raises(UserError, match="Name the lists with option lists"):
        look({})


def test_a_named_list_that_is_not_there(look, root):
    put(root / "elsewhere/one.json", b"{}")
    with pytest.raises(UserError, match=r"Move .*elsewhere/one\.json to .*mine/one\.json, or corr"):
        look({}, lists="mine/one.json")


def test_a_named_list(look, root):
    put(root / "mine/one.json", json.dumps(ff_list()).encode())
    assert look({}, lists="mine").metrics["outputs"] == 3
    assert look({}, lists="mine/one.json").metrics["outputs"] == 3
