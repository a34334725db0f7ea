"""manifests/semantics.yaml against the paper's table and a second reading of its rules."""

import itertools
from pathlib import Path

import pytest

from pipeline.datasets import (
    deeperforensics,
    deepfakebench,
    df40_names,
    diffusionface,
    faceforensics,
    faceshifter,
    ffsc,
    forgerynet,
)
from pipeline.datasets.base import adapters
from pipeline.errors import UserError
from pipeline.labels import semantics
from pipeline.labels.semantics import Manipulation, Semantics

FILE = Path(__file__).parents[2] / "manifests" / "semantics.yaml"

# SJEDD, Table I, as printed ("?" for N/A), typed from the paper: face | expression, identity,
# physical inconsistency | eye, eyebrow, lip, mouth, nose, skin.
TABLE_I = {
    "swap_eye": "1 ?01 100000",
    "swap_lip": "1 ?01 001100",
    "swap_mouth": "1 ?01 001100",
    "swap_nose": "1 001 000010",
    "Deepfakes": "1 ?11 111111",
    "Face2Face": "1 101 001100",
    "FaceSwap": "1 ?11 111111",
    "NeuralTextures": "1 101 001100",
}

SMALL = """
graphs:
  tiny:
    nodes: [face, identity, eye]
    edges: {face: [identity], identity: [eye]}
    prompts: {face: a, identity: b, eye: c}
methods:
  mine:
    puppet:
      {category: RE, subtype: talking_head, vectors: {tiny: [1, NA, 1]}, origin: paper, why: w}
"""

TEMPLATES = """
templates:
  one: {category: RE, vectors: {tiny: [1, NA, 1]}, origin: paper, why: w}
  two: {category: FS, vectors: {tiny: [1, 1, 1]}, origin: extension, why: w}
switches:
  other: {one: two}
"""


@pytest.fixture(scope="module")
def shipped() -> Semantics:
    return semantics.load(FILE)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    assert old in SMALL
    path = tmp_path / "semantics.yaml"
    path.write_text(SMALL.replace(old, new))
    return path


def legal_by_sets(graph: semantics.Graph, root_needs_child: bool) -> set[frozenset[str]]:
    """Legal states by plain set logic over node names."""
    parents: dict[str, set[str]] = {node: set() for node in graph.nodes}
    children: dict[str, set[str]] = {node: set() for node in graph.nodes}
    for parent, child in graph.edges:
        parents[graph.nodes[child]].add(graph.nodes[parent])
        children[graph.nodes[parent]].add(graph.nodes[child])
    states = set()
    for size in range(len(graph.nodes) + 1):
        for active in map(frozenset, itertools.combinations(graph.nodes, size)):
            childless_ok = {n for n in graph.nodes if not children[n]}
            if not root_needs_child:
                childless_ok.add(graph.nodes[0])
            if all(not parents[n] or parents[n] & active for n in active) and all(
                n in childless_ok or children[n] & active for n in active
            ):
                states.add(active)
    return states


def test_the_graphs_have_the_published_numbers_of_states(shipped: Semantics) -> None:
    ffpp, ffsc = shipped.graph("ffpp"), shipped.graph("ffsc")
    assert len(ffpp.legal_states()) == 251
    assert len(ffpp.legal_states(root_needs_child=True)) == 250
    assert len(ffsc.legal_states()) == 1544


@pytest.mark.parametrize("name", ["ffpp", "ffsc"])
@pytest.mark.parametrize("root", [False, True])
def test_legal_states_agree_with_set_logic(shipped: Semantics, name: str, root: bool) -> None:
    graph = shipped.graph(name)
    rows = graph.legal_states(root_needs_child=root)
    ours = [frozenset(n for n, on in zip(graph.nodes, row, strict=True) if on) for row in rows]
    assert len(ours) == len(set(ours))
    assert set(ours) == legal_by_sets(graph, root)


def test_the_authors_labels_of_ffsc_are_legal_states(shipped: Semantics) -> None:
    # Published 12-digit codes; 2 is unobserved. The label of pose needs the edge pose -> lip.
    states = shipped.graph("ffsc").legal_states()
    for code in ("000000000000", "110000100001", "101000001100", "101000101111"):
        assert list(map(int, code)) in states.tolist()
    for code in ("120110111101", "120010111111", "100001111111"):
        wanted = [int(digit) for digit in code]
        assert any(
            all(w in (2, s) for w, s in zip(wanted, state, strict=True))
            for state in states.tolist()
        )


def test_node_order_and_prompts(shipped: Semantics) -> None:
    ffpp = shipped.graph("ffpp")
    order = (
        "face, expression, identity, physical_inconsistency, eye, eyebrow, lip, mouth, nose, skin"
    )
    assert ", ".join(ffpp.nodes) == order
    assert ffpp.prompts[0] == "A photo of a fake face"
    assert ffpp.prompts[3].endswith("the global attribute of physical inconsistency altered")
    assert ffpp.prompts[9] == "A photo of a face with the local region skin altered"
    ffsc = shipped.graph("ffsc")
    assert len(ffsc.nodes) == len(set(ffsc.prompts)) == 12


@pytest.mark.parametrize("method", TABLE_I)
def test_table_one_exactly(shipped: Semantics, method: str) -> None:
    wanted = tuple({"1": 1, "0": 0, "?": -1}[c] for c in TABLE_I[method].replace(" ", ""))
    category = shipped.manipulation("ffpp", "faceforensics", method).category
    assert shipped.vector("ffpp", "ffpp", "faceforensics", method, 1, category) == wanted


def test_categories(shipped: Semantics) -> None:
    def category(adapter: str, method: str) -> str:
        return shipped.manipulation("some", adapter, method).category

    assert category("faceforensics", "FaceShifter") == "FS"
    assert category("faceforensics", "DeepFakeDetection") == "FS"
    assert category("faceforensics", "NeuralTextures") == "RE"
    assert category("csv", "swap_nose") == "local"
    assert category("forgerynet", "DeepFakes-StarGAN-Stack") == "RE"
    assert category("dfdc", "dfdc_unknown") == "FS"
    assert category("df40", "e4e") == "FE"
    assert category("wilddeepfake", "unknown") == "unknown"
    assert category("csv", "Deepfakes") == "FS"
    assert category("csv", "sora") == "unknown"
    assert category("wilddeepfake", "Deepfakes") == "unknown"
    assert category("csv", "real") == "real"


# Metric learning, Table 1: the manipulations of its five training sets. DFDC's methods are not told
# apart; seven of them swap faces. A swap followed by wav2lip is both of its halves and no new one.
TABLE_1 = {
    "faceforensics": ("Deepfakes FaceSwap FaceShifter Face2Face NeuralTextures", 1),
    "celeb_df": ("Celeb-synthesis", 1),
    "dfdc": ("dfdc_unknown", 7),
    "fakeavceleb": ("faceswap fsgan wav2lip", 1),
    "forgerynet": (
        "FaceShifter FS-GAN DeepFakes BlendFace MMReplacement DeepFakes-StarGAN-Stack "
        "Talking-Head-Video ATVG-Net",
        1,
    ),
}


def test_eighteen_face_swaps_and_six_reenactments(shipped: Semantics) -> None:
    counts: dict[str, list[int]] = {}
    for place, (adapter, (methods, times)) in enumerate(TABLE_1.items()):
        for method in methods.split():
            category = shipped.manipulation("any name", adapter, method).category
            counts.setdefault(category, [0] * len(TABLE_1))[place] += times
    assert counts == {"FS": [3, 1, 7, 2, 5], "RE": [2, 0, 0, 1, 3]}
    assert [sum(of_sets) for of_sets in counts.values()] == [18, 6]


def test_forgerynets_sixth_method_may_be_a_swap(shipped: Semantics) -> None:
    """By its authors it is: 19 FS and 5 RE then."""
    known = shipped.manipulation("fn", "forgerynet", "DeepFakes-StarGAN-Stack")
    assert (known.category, known.also) == ("RE", ("FS",))
    swap = shipped.vector("ffpp", "fn", "forgerynet", "DeepFakes", 1, "FS")
    for category in ("RE", "FS"):
        method = "DeepFakes-StarGAN-Stack"
        assert shipped.vector("ffpp", "fn", "forgerynet", method, 1, category) == swap
    with pytest.raises(UserError, match="is of category FE"):
        shipped.vector("ffpp", "fn", "forgerynet", "DeepFakes-StarGAN-Stack", 1, "FE")


def test_every_method_an_adapter_knows_has_a_line(shipped: Semantics) -> None:
    known = {
        "df40": df40_names.METHODS,
        "deeperforensics": deeperforensics.VARIANTS,
        "diffusionface": diffusionface.CATEGORIES,
        "ffsc": ffsc.ATTRIBUTES,
        "deepfakebench": {
            *deepfakebench.METHODS.values(),
            *df40_names.METHODS,
            *deepfakebench.COLLECTIVE,
        }
        - {"real", "DF40_train"},
        "forgerynet": forgerynet.METHODS.values(),
        "faceforensics": faceforensics.SHOWN,
        "faceshifter": [faceshifter.METHOD],
    }
    for adapter, methods in known.items():
        for method in methods:
            assert shipped.manipulation("any name", adapter, method).vectors, (adapter, method)
    for name, section in shipped.methods.items():
        assert name in {*adapters(), "any"}, name
        assert section
    # Totals of a full copy name methods, too.
    for name, adapter in adapters().items():
        for total in adapter.expected:
            method = str(total.kind.get("method", "real"))
            assert shipped.manipulation("any name", name, method).category != "unknown" or (
                total.kind.get("label") == 0
            ), (name, method)


def test_df40_by_category(shipped: Semantics) -> None:
    of_df40 = shipped.methods["df40"]
    for category, methods, count in (
        ("FS", df40_names.FACE_SWAPS, 10),
        ("RE", df40_names.REENACTMENTS, 13),
        ("EFS", df40_names.SYNTHESES, 12),
        ("FE", df40_names.EDITINGS, 5),
    ):
        assert len(methods) == count
        assert {of_df40[method].category for method in methods} == {category}
    assert len(of_df40) == 40


# The templates of other datasets' methods, typed once more: expression, identity, physical
# inconsistency | eye, eyebrow, lip, mouth, nose, skin.
EXTENSIONS = {
    ("celeb_df", "Celeb-synthesis"): "1 ?11 111111",
    ("fakeavceleb", "wav2lip"): "1 101 001100",
    ("celeb_df", "IP_LAP"): "1 101 001100",
    ("fakeavceleb", "fsgan-wav2lip"): "1 111 111111",
    ("df40", "fomm"): "1 10? ??11??",
    ("df40", "sadtalker"): "1 10? ??11??",
    ("forgerynet", "ATVG-Net"): "1 10? ??11??",
    ("df40", "DiT"): "1 ??? 111111",
    ("df40", "e4e"): "1 ??? 111111",
    ("df40", "styleclip"): "1 ??? ??????",
    ("deeperforensics", "reenact_postprocess"): "1 ?11 111111",
    ("any", "xray_face"): "1 ?11 111111",
    ("any", "self_blended"): "1 ??? ??????",
}


@pytest.mark.parametrize(("adapter", "method"), EXTENSIONS)
def test_vectors_of_our_own(shipped: Semantics, adapter: str, method: str) -> None:
    text = EXTENSIONS[adapter, method].replace(" ", "")
    wanted = tuple({"1": 1, "0": 0, "?": -1}[c] for c in text)
    assert shipped.manipulation("any name", adapter, method).vectors["ffpp"] == wanted


def test_paper_like_gives_whole_heads_the_row_of_lips_and_mouth(shipped: Semantics) -> None:
    other = semantics.load(FILE, "paper_like")
    changed = {
        (section, method)
        for section, entries in shipped.methods.items()
        for method, entry in entries.items()
        if other.methods[section][method] != entry
    }
    heads = {"fomm", "sadtalker", "heygen", "hyperreenact"}
    assert {method for section, method in changed if section == "df40"} >= heads
    row = (1, 1, 0, 1, 0, 0, 1, 1, 0, 0)
    for section, method in changed:
        before, after = shipped.methods[section][method], other.methods[section][method]
        assert (before.category, before.subtype) == (after.category, after.subtype)
        assert after.vectors["ffpp"] == row
        assert before.category == "RE"
    # All reenactment of `ffpp` has the row then, and nothing of another category changed.
    for section, entries in other.methods.items():
        for entry in entries.values():
            if entry.category == "RE" and section not in ("ffsc", "forgerynet"):
                assert entry.vectors["ffpp"] == row


def test_an_unknown_switch_is_named() -> None:
    with pytest.raises(UserError, match=r"no switch 'papr'.*has default, paper_like"):
        semantics.load(FILE, "papr")


def test_reals_are_zero_and_unknown_fakes_are_fake_and_nothing_else(shipped: Semantics) -> None:
    assert shipped.vector("ffsc", "x", "csv", "real", 0, "real") == (0,) * 12
    assert shipped.vector("ffpp", "x", "csv", "rtvc", 0, "real") == (0,) * 10
    assert shipped.vector("ffpp", "x", "csv", "sora", 1, "unknown") == (1,) + (-1,) * 9
    # Table I has no vector for the other graph.
    fs = shipped.vector("ffsc", "ffpp", "faceforensics", "Deepfakes", 1, "FS")
    assert fs == (1,) + (-1,) * 11


def test_lookup_order(tmp_path: Path) -> None:
    def line(category: str) -> str:
        return (
            f"{{m: {{category: {category}, vectors: {{tiny: [1, 1, 1]}}, origin: paper, why: w}}}}"
        )

    path = tmp_path / "semantics.yaml"
    path.write_text(
        SMALL + f"  csv: {line('FS')}\n  any: {line('EFS')}\n  wild: {line('FE')}\n",
        encoding="utf-8",
    )
    found = semantics.load(path)
    assert found.manipulation("wild", "csv", "m").category == "FE"
    assert found.manipulation("other", "csv", "m").category == "FS"
    assert found.manipulation("other", "faceforensics", "m").category == "EFS"
    puppet = found.manipulation("mine", "csv", "puppet")
    assert (puppet.category, puppet.subtype, puppet.vectors) == (
        "RE",
        "talking_head",
        {"tiny": (1, -1, 1)},
    )


def test_a_contradicting_category_is_named(shipped: Semantics) -> None:
    with pytest.raises(UserError, match=r"Deepfakes is of category RE, semantics\.yaml says FS"):
        shipped.vector("ffpp", "ffpp", "faceforensics", "Deepfakes", 1, "RE")


def test_an_unknown_graph_is_named(shipped: Semantics) -> None:
    with pytest.raises(UserError, match=r"no label graph 'ffxx'.*ffpp, ffsc"):
        shipped.graph("ffxx")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("graphs:", "graph:", "graph is not known here. Did you mean graphs"),
        ("origin: paper, why: w", "origin: paper", r"methods\.mine\.puppet: why is missing"),
        ("origin: paper", "origin: us", r"puppet\.origin is 'us', but must be one of paper"),
        ("category: RE", "category: real", "category is 'real', but must be one of FS"),
        ("subtype:", "subtyp:", "puppet: subtyp is not known here. Did you mean subtype"),
        ("[1, NA, 1]", "[1, NA]", "is 2 values; it must be a list of 3: face, identity, eye"),
        ("[1, NA, 1]", "[1, 2, 1]", "vectors.tiny: identity is 2; a label is 1, 0 or NA"),
        ("[1, NA, 1]", "[1, true, 1]", "identity is True; a label is 1, 0 or NA"),
        ("[1, NA, 1]", "[1, [], 1]", r"identity is \[\]; a label is 1, 0 or NA"),
        ("[1, NA, 1]", "[1, 1.0, 1]", "identity is 1.0; a label is 1, 0 or NA"),
        ("[1, NA, 1]", "[0, 0, 0]", "face must be 1"),
        ("[1, NA, 1]", "[1, 0, 1]", "vectors.tiny: no state of graph tiny agrees"),
        ("[1, NA, 1]", "[1, 1, 0]", "vectors.tiny: no state of graph tiny agrees"),
        ("{tiny: [1, NA, 1]}", "{tiy: [1, NA, 1]}", "tiy is not known here. Did you mean tiny"),
        ("{tiny: [1, NA, 1]}", "{}", "vectors is empty"),
        ("[face, identity, eye]", "[face, eye, eye]", r"graphs\.tiny\.nodes names eye twice"),
        (
            "identity: [eye]}",
            "identity: [eye], eye: [identity]}",
            "circle through face, identity, eye",
        ),
        ("identity: [eye]}", "identity: [ey]}", "names ey, which is not a node. Did you mean eye"),
        (
            "identity: [eye]}",
            "identitiy: [eye]}",
            "identitiy is not known here. Did you mean identity",
        ),
        ("{face: [identity], identity: [eye]}", "{face: [eye]}", "identity has no parent"),
        ("{face: a, identity: b, eye: c}", "{face: a, identity: b}", "prompts: eye is missing"),
        ("puppet:", "real:", "reals are all 0 and need no line"),
        ("puppet:", "1:", "the name 1 is not text"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        semantics.load(changed(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("m: one", "m: three", r"methods\.csv\.m names the template three, which is not there"),
        (
            "{one: two}",
            "{one: three}",
            r"switches\.other\.one is 'three', but must be one of one, two",
        ),
        ("{one: two}", "{noe: two}", r"switches\.other: noe is not known here\. Did you mean one"),
        ("[1, 1, 1]", "[1, 0, 1]", r"templates\.two\.vectors\.tiny: no state"),
        ("switches:", "switch:", "switch is not known here. Did you mean switches"),
    ],
)
def test_mistakes_in_templates_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SMALL + "  csv: {m: one}\n" + TEMPLATES
    assert old in text
    path = tmp_path / "semantics.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        semantics.load(path)


def test_a_switch_changes_vectors_alone(tmp_path: Path) -> None:
    path = tmp_path / "semantics.yaml"
    path.write_text(SMALL + "  csv: {m: one}\n" + TEMPLATES)
    plain, other = (semantics.load(path, switch) for switch in ("default", "other"))
    assert plain.methods["csv"]["m"] == Manipulation("RE", "", {"tiny": (1, -1, 1)})
    assert other.methods["csv"]["m"] == Manipulation("RE", "", {"tiny": (1, 1, 1)})


def test_the_small_file_itself_is_right(tmp_path: Path) -> None:
    assert semantics.load(changed(tmp_path, "", "")).graph("tiny").edges == ((0, 1), (1, 2))


@pytest.mark.parametrize(
    ("method", "of", "by"),
    [
        ("Wav2Lip", "df40", "wav2lip"),
        ("SadTalker", "celeb_df", "SadTalker"),
        ("sadtalker", "df40", "sadtalker"),
        ("Face2Face", "faceforensics", "Face2Face"),
    ],
)
def test_a_csv_knows_the_methods_of_other_datasets(method: str, of: str, by: str) -> None:
    known = semantics.load(FILE)
    own = known.methods[of][by]
    assert known.manipulation("mine", "csv", method) == own
    vector = known.vector("ffpp", "mine", "csv", method, 1, own.category)
    assert vector == known.vector("ffpp", of, of, by, 1, own.category)
    assert known.manipulation("mine", "dfdc", method) == Manipulation("unknown")


def test_a_csv_borrows_only_what_sections_agree_on_and_its_own_category_wins() -> None:
    known = semantics.load(FILE)
    # A swap to FakeAVCeleb and DF40; FFSC, whose graph is another, has other vectors for it.
    assert known.manipulation("mine", "csv", "fsgan") == Manipulation("FS")
    for word in ("method_A", "dfdc_unknown", "never heard of"):
        assert known.manipulation("mine", "csv", word) == Manipulation("unknown")
    unobserved = known.graph("ffpp").unobserved_fake()
    assert known.vector("ffpp", "mine", "csv", "SadTalker", 1, "FS") == unobserved


def test_a_section_of_ones_own_comes_before_what_others_know(tmp_path: Path) -> None:
    path = tmp_path / "semantics.yaml"
    path.write_text(SMALL + "  csv: {m: one}\n  other: {m: two}\n" + TEMPLATES)
    small = semantics.load(path)
    assert small.manipulation("mine", "csv", "m") == small.methods["csv"]["m"]
    assert small.manipulation("other", "csv", "m") == small.methods["other"]["m"]
