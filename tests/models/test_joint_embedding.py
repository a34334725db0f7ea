import json
from dataclasses import replace

import pytest
import torch
from transformers import CLIPModel, CLIPTokenizer

from pipeline import models
from pipeline.config.clip_params import ClipParams
from pipeline.errors import UserError
from pipeline.labels.semantics import Graph
from pipeline.models import GraphClassifier, JointEmbedding, clip, prompts
from pipeline.models.joint_embedding import ImageScores
from tests.models import made
from tests.models.made import FFPP, SEMANTICS

TINY = made.params("joint_embedding", "tiny")
NARROW = clip.ClipSize(64, 32, 64, 2, 4, 64, 2, 4, 32)


def _tiny(seed: int = 0, graph: Graph = FFPP) -> JointEmbedding:
    model = models.build(TINY, graph, seed)
    assert isinstance(model, JointEmbedding)
    return model.eval()


def _images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 64, 64, generator=torch.Generator().manual_seed(7))


def test_logits_are_inner_products_over_ten_of_embeddings_that_keep_their_lengths():
    model = _tiny()
    images = _images(3)
    tokenizer = prompts.made_tokenizer(FFPP.prompts)
    padded = tokenizer(list(FFPP.prompts), padding=True, return_tensors="pt")
    with torch.no_grad():
        # transformers' own way: attention masks, and its whole model, which normalises last.
        outputs = model.clip(pixel_values=images, **padded)
        features = model.clip.get_image_features(images).pooler_output
        texts = model.clip.get_text_features(**padded).pooler_output
        found = model(images)
    assert found.logits.shape == (3, 10)
    torch.testing.assert_close(found.logits, features @ texts.T / 10, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.embedding, features, rtol=1e-5, atol=1e-5)
    cosines = outputs.logits_per_image / model.clip.logit_scale.exp()
    lengths = features.norm(dim=1)[:, None] * texts.norm(dim=1)
    torch.testing.assert_close(found.logits, cosines * lengths / 10, rtol=1e-4, atol=1e-5)


def test_the_roots_marginal_is_the_probability_of_a_fake():
    model = _tiny()
    with torch.inference_mode():
        outputs = model(_images(4))
        nodes = model.node_probabilities(outputs)
        fake = model.fake_probability(outputs)
    assert nodes.shape == (4, 10)
    torch.testing.assert_close(fake, nodes[:, 0], rtol=0, atol=1e-12)
    # No state has an altered node without the root.
    assert (nodes <= nodes[:, :1] + 1e-12).all()


def test_prompts_are_embedded_once_in_evaluation(monkeypatch):
    model = _tiny()
    calls = []
    embed = JointEmbedding._embed_prompts
    monkeypatch.setattr(
        JointEmbedding, "_embed_prompts", lambda self: calls.append(1) or embed(self)
    )
    with torch.inference_mode():
        first = model(_images(2)).logits
        assert torch.equal(model(_images(2)).logits, first)
    assert len(calls) == 1


@pytest.mark.parametrize("way", ["step", "load", "no_grad"])
def test_changed_weights_are_never_scored_with_old_prompts(way):
    model = _tiny(seed=1)
    with torch.inference_mode():
        before = model(_images(2)).logits
    weight = model.clip.text_projection.weight
    if way == "step":  # a trainer that stays in evaluation mode
        model(_images(2)).logits.sum().backward()
        torch.optim.SGD([weight], lr=0.1).step()
    elif way == "load":
        model.load_state_dict(_tiny(seed=2).state_dict())
    else:
        with torch.no_grad():
            model(_images(2))
            weight.data.mul_(2)
            assert not torch.allclose(model(_images(2)).logits, before)
    fresh = models.skeleton(TINY, FFPP).eval()
    fresh.load_state_dict(model.state_dict())
    with torch.inference_mode():
        after = model(_images(2)).logits
        assert torch.equal(after, fresh(_images(2)).logits)
    assert not torch.allclose(after, before)


def test_every_parameter_that_can_learn_does():
    model = _tiny().train()
    model.fake_probability(model(_images(4))).sum().backward()
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert frozen == ["clip.logit_scale"]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_a_joint_embeddings_numbers_depend_on_seed_and_name_alone():
    torch.manual_seed(1)
    one = _tiny(3).state_dict()
    torch.manual_seed(2)
    same, other = _tiny(3).state_dict(), _tiny(4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    weight = "clip.visual_projection.weight"
    assert not torch.equal(one[weight], other[weight])


@pytest.mark.parametrize("graph", ["ffpp", "ffsc"])
def test_the_made_tokenizer_has_one_token_per_word_and_tells_prompts_apart(graph):
    sentences = SEMANTICS.graph(graph).prompts
    tokenizer = prompts.made_tokenizer(sentences)
    rows = prompts.token_numbers(tokenizer, sentences)
    assert rows.shape == (len(sentences), 77)
    for row, sentence in zip(rows.tolist(), sentences, strict=True):
        length = row.index(1) + 1
        assert length == len(sentence.split()) + 2
        assert row[0] == 0
        assert tokenizer.decode(row[1 : length - 1]) == sentence.lower()
    assert len({tuple(row) for row in rows.tolist()}) == len(sentences)
    assert tokenizer.get_vocab() == prompts.made_tokenizer(sentences[::-1]).get_vocab()
    assert tokenizer.eos_token_id != 2  # transformers treats an end token of 2 in an old way


def test_any_letters_can_be_in_a_prompt():
    sentences = ["Ein gefälschtes Gesicht, 3-mal", "it's a «face»", "顔"]
    tokenizer = prompts.made_tokenizer(sentences)
    rows = prompts.token_numbers(tokenizer, sentences).tolist()
    assert all(0 <= number < len(tokenizer) for row in rows for number in row)
    assert len({tuple(row) for row in rows}) == 3


def test_a_prompt_that_is_too_long_is_an_error_and_not_cut():
    graph = Graph("g", ("face", "hat"), ((0, 1),), ("a fake face", "word " * 76))
    with pytest.raises(UserError, match=r"has 78 tokens, CLIP reads 77. Shorten it in semantics"):
        models.build(TINY, graph)


@pytest.mark.slow
def test_the_large_size_is_clip_vit_b32():
    model = models.skeleton(made.params("joint_embedding", "clip-vit-b32"), FFPP)
    assert isinstance(model, JointEmbedding)
    # The published count of CLIP ViT-B/32.
    assert sum(p.numel() for p in model.clip.parameters()) == 151_277_313
    assert model.image_px == 224
    assert model.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    assert model.std == pytest.approx((0.26862954, 0.26130258, 0.27577711))


@pytest.fixture
def narrow(monkeypatch):
    """CLIP ViT-B/32 with its vocabulary, but narrow and shallow."""
    monkeypatch.setitem(clip.SIZES, "clip-vit-b32", NARROW)
    state = {}
    blank = models.skeleton(made.params("joint_embedding", "clip-vit-b32"), FFPP)
    assert isinstance(blank, JointEmbedding)
    random = torch.Generator().manual_seed(3)
    for name, tensor in blank.clip.state_dict().items():
        state[name] = 0.1 * torch.randn(tensor.shape, generator=random)
    state["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return state


def test_pretrained_clip_loads_from_a_folder_and_a_checkpoint_needs_none_of_it(tmp_path, narrow):
    torch.save(narrow, tmp_path / "pytorch_model.bin")
    made.clip_tokenizer_files(tmp_path, list(FFPP.prompts))
    with_file = made.params("joint_embedding", "clip-vit-b32", tmp_path / "pytorch_model.bin")
    params = made.ModelParams(
        "joint_embedding",
        "clip-vit-b32",
        made.Weights(str(tmp_path), with_file.weights.sha256),
    )
    model = models.build(params, FFPP).eval()
    assert isinstance(model, JointEmbedding)
    for name, tensor in model.clip.state_dict().items():
        assert torch.equal(tensor, narrow[name]), name
    assert model.tokens[0, :5].tolist() == [49406, 320, 1125, 539, 320]
    beside = models.settings(params)["beside"]
    assert isinstance(beside, dict)
    assert sorted(beside) == ["merges.txt", "vocab.json"]
    blank = models.skeleton(made.params("joint_embedding", "clip-vit-b32"), FFPP).eval()
    blank.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(blank(_images(1)).logits, model(_images(1)).logits)


def test_a_clip_file_that_does_not_fit(tmp_path, narrow):
    del narrow["visual_projection.weight"]
    narrow["visual.proj"] = torch.zeros(1)
    torch.save(narrow, tmp_path / "a.pth")
    made.clip_tokenizer_files(tmp_path, list(FFPP.prompts))
    params = made.params("joint_embedding", "clip-vit-b32", tmp_path / "a.pth")
    problems = (
        r"1 tensor missing \(first: visual_projection.weight\); "
        r"1 tensor unknown \(first: visual.proj\)"
    )
    with pytest.raises(UserError, match=problems):
        models.build(params, FFPP)


def test_openais_archive_is_refused_in_words(tmp_path, narrow):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "ViT-B-32.pt")
    made.clip_tokenizer_files(tmp_path, list(FFPP.prompts))
    params = made.params("joint_embedding", "clip-vit-b32", tmp_path / "ViT-B-32.pt")
    with pytest.raises(UserError, match=r"is a TorchScript archive.*Give the same weights"):
        models.build(params, FFPP)


def test_a_missing_or_wrong_tokenizer_is_one_sentence(tmp_path, narrow):
    torch.save(narrow, tmp_path / "a.pth")
    params = made.params("joint_embedding", "clip-vit-b32", tmp_path / "a.pth")
    for make in (lambda: models.build(params, FFPP), lambda: models.settings(params)):
        with pytest.raises(UserError, match=r"put tokenizer.json, or vocab.json and merges.txt"):
            make()
    made.clip_tokenizer_files(tmp_path, list(FFPP.prompts))
    vocabulary = json.loads((tmp_path / "vocab.json").read_text())
    vocabulary["of</w>"], vocabulary["photo</w>"] = 1125, 539
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    with pytest.raises(UserError, match="are not CLIP's vocabulary"):
        models.build(params, FFPP)
    (tmp_path / "vocab.json").write_text("[")
    with pytest.raises(UserError, match="cannot be read as CLIP's tokenizer"):
        models.build(params, FFPP)


def _with(graph: Graph = FFPP, seed: int = 0, **asked: str) -> GraphClassifier:
    model = models.build(replace(TINY, clip=ClipParams(**asked)), graph, seed)
    assert isinstance(model, GraphClassifier)
    return model.eval()


def test_a_cosine_is_over_the_same_temperature_and_forgets_lengths():
    plain, cosine = _tiny(), _with(score="cosine")
    with torch.no_grad():
        expected = plain(_images(3))
        texts = plain.label_embeddings()
        found = cosine(_images(3)).logits
    cosines = torch.nn.functional.cosine_similarity(expected.embedding[:, None], texts[None], dim=2)
    torch.testing.assert_close(found, cosines / 10, rtol=1e-5, atol=1e-6)
    assert found.abs().max() <= 0.1


def test_the_graphs_own_prompts_are_the_papers_templates_and_others_are_made_of_its_names():
    for name in ("ffpp", "ffsc"):
        graph = SEMANTICS.graph(name)
        region = prompts.of_graph(graph, "region")
        attribute = prompts.of_graph(graph, "attribute")
        simplified = prompts.of_graph(graph, "simplified")
        assert region == graph.prompts
        assert attribute == tuple(
            text.replace("local region", "local attribute of") for text in region
        )
        words = [node.replace("_", " ") for node in graph.nodes[1:]]
        assert simplified == ("fake", *(f"altered {word}" for word in words))


@pytest.mark.parametrize("templates", ["attribute", "simplified"])
def test_templates_reach_the_tokens_and_a_checkpoint_brings_them(templates):
    model = _with(templates=templates)
    assert isinstance(model, JointEmbedding)
    texts = prompts.of_graph(FFPP, templates)
    tokenizer = prompts.made_tokenizer(texts)
    assert torch.equal(model.tokens, prompts.token_numbers(tokenizer, texts))
    blank = models.skeleton(replace(TINY, clip=ClipParams(templates=templates)), FFPP).eval()
    blank.load_state_dict(model.state_dict())
    with torch.inference_mode():
        assert torch.equal(blank(_images(1)).logits, model(_images(1)).logits)


@pytest.mark.parametrize(("states", "count"), [("paper", 250), ("released", 251)])
@pytest.mark.parametrize("head", ["text", "linear"])
def test_the_rule_of_legal_states_is_a_choice(states, count, head):
    assert len(_with(states=states, head=head).states) == count


def test_without_text_a_linear_layer_scores_the_image_encoders_embedding():
    model = _with(head="linear")
    assert isinstance(model, ImageScores)
    assert not [name for name in model.state_dict() if "text" in name]
    with torch.no_grad():
        found = model(_images(3))
        pooled = model.clip.vision_model(_images(3)).pooler_output
        embedding = model.clip.visual_projection(pooled)
    torch.testing.assert_close(found.embedding, embedding)
    torch.testing.assert_close(
        found.logits, embedding @ model.head.weight.T + model.head.bias, rtol=1e-5, atol=1e-6
    )
    nodes = model.node_probabilities(found)
    torch.testing.assert_close(model.fake_probability(found), nodes[:, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("head", "freeze", "trained"),
    [
        ("text", "none", {"text_model", "text_projection", "vision_model", "visual_projection"}),
        ("text", "text", {"vision_model", "visual_projection"}),
        ("text", "both", {"visual_projection"}),
        ("linear", "none", {"vision_model", "visual_projection", "head"}),
        ("linear", "both", {"head"}),
    ],
)
def test_what_is_frozen_gets_no_gradient_and_the_rest_does(head, freeze, trained):
    model = _with(head=head, freeze=freeze).train()
    model.fake_probability(model(_images(4))).sum().backward()
    learning = {n for n, p in model.named_parameters() if p.grad is not None}
    assert {n.removeprefix("clip.").split(".")[0] for n in learning} == trained
    assert learning == {n for n, p in model.named_parameters() if p.requires_grad}


def test_frozen_texts_are_embedded_once_in_training_too(monkeypatch):
    model = _with(freeze="text").train()
    calls = []
    embed = JointEmbedding._embed_prompts
    monkeypatch.setattr(
        JointEmbedding, "_embed_prompts", lambda self: calls.append(1) or embed(self)
    )
    for _ in range(2):
        model(_images(2)).logits.sum().backward()
    assert len(calls) == 1


def test_a_folder_of_transformers_gives_transformers_own_features(tmp_path, monkeypatch):
    small = clip.ClipSize(64, 32, 64, 2, 4, 64, 3, 4, 32)
    for size in clip.PUBLIC:
        monkeypatch.setitem(clip.SIZES, size, small)
    known = (prompts.CLIP_VOCABULARY, *prompts.CLIP_ENDS)
    torch.manual_seed(4)
    theirs = CLIPModel(clip.configuration(small, prompts.CONTEXT, *known)).eval()
    theirs.save_pretrained(tmp_path)
    made.clip_tokenizer_files(tmp_path, list(FFPP.prompts))
    theirs = CLIPModel.from_pretrained(tmp_path).eval()
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    padded = tokenizer(list(FFPP.prompts), padding=True, return_tensors="pt")
    with torch.no_grad():
        images = theirs.get_image_features(_images(2)).pooler_output
        texts = theirs.get_text_features(**padded).pooler_output
    file = tmp_path / "model.safetensors"
    for size in clip.PUBLIC:
        for head in ("text", "linear"):
            params = replace(made.params("joint_embedding", size, file), clip=ClipParams(head))
            model = models.build(params, FFPP).eval()
            with torch.inference_mode():
                found = model(_images(2))
                torch.testing.assert_close(found.embedding, images, rtol=1e-5, atol=1e-6)
                if isinstance(model, JointEmbedding):
                    ours = model.label_embeddings()
                    torch.testing.assert_close(ours, texts, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "published"), [("clip-vit-b32", 151_277_313), ("clip-vit-l14", 427_616_513)]
)
def test_a_size_has_the_published_number_of_parameters(size, published):
    known = (prompts.CLIP_VOCABULARY, *prompts.CLIP_ENDS)
    with torch.device("meta"):
        model = CLIPModel(clip.configuration(clip.SIZES[size], prompts.CONTEXT, *known))
    assert sum(p.numel() for p in model.parameters()) == published


def test_a_graph_is_needed():
    with pytest.raises(ValueError, match="label graph"):
        models.build(TINY, None)
