"""Hugging Face models from unpacked archives: which folder holds the model, what is refused, how texts are read."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save

from kernelsm import InputError
from kernelsm.models.hugging_face import hugging_face
from kernelsm.models.language_model import load_language_model
from kernelsm.models.model_copies import copy_model
from kernelsm.models.model_folders import local_models_allowed, model_folder, own_folder, tokenize

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "good", "bad", "film", "##s", "not"]


def save_model(folder):
    import transformers

    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=12, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(3)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)


def save_tokenizer(folder, **named):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    if named.pop("marked", True):
        inner.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    named = {"pad_token": "[PAD]", "unk_token": "[UNK]", **named}
    PreTrainedTokenizerFast(tokenizer_object=inner, **named).save_pretrained(folder)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("original")
    save_model(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture
def archive(tmp_path, original):
    """An unpacked archive whose one folder is the model."""
    (tmp_path / "archive" / "my model").mkdir(parents=True)
    for file in original.iterdir():
        (tmp_path / "archive" / "my model" / file.name).write_bytes(file.read_bytes())
    return tmp_path / "archive"


@pytest.fixture
def model(archive):
    return archive / "my model"


def refused(folder, **named):
    with pytest.raises(InputError) as caught:
        model_folder(folder, "mine.zip", **named)
    assert caught.value.place.startswith("mine.zip")
    assert str(folder) not in str(caught.value)
    return caught.value


def test_the_model_is_found_at_the_top_or_one_folder_down(archive, model):
    assert model_folder(model, "mine.zip", text=True) == model
    (archive / "__MACOSX").mkdir()
    (archive / "__MACOSX" / "config.json").write_text("{}")
    (archive / ".hidden").mkdir()
    (archive / ".hidden" / "config.json").write_text("{}")
    assert model_folder(archive, "mine.zip", text=True) == model
    assert refused(archive.parent).found == "no config.json at the top or one folder down"


def test_several_models_are_refused(archive, model):
    (archive / "other").mkdir()
    (archive / "other" / "config.json").write_text("{}")
    assert refused(archive).found == "2 models ('my model', 'other')"


def test_pickled_and_missing_weights_are_refused(archive, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    error = refused(archive)
    assert "only pickled weights, pytorch_model.bin" in error.found
    assert "save_pretrained" in error.fix
    (model / "pytorch_model.bin").unlink()
    assert refused(archive).found == "no weights"


def test_a_tokenizer_is_needed_only_where_text_is_read(archive, model):
    (model / "tokenizer.json").unlink()
    assert model_folder(archive, "mine.zip") == model
    error = refused(archive, text=True)
    assert error.found == "no tokenizer.json"
    assert "save_pretrained" in error.fix


@pytest.mark.parametrize("text", ["", "[]", "{", "3", "\x80", "[" * 100_000, '{"a":' * 100_000])
def test_a_config_that_is_no_json_object_is_refused(archive, model, text):
    (model / "config.json").write_bytes(text.encode("latin-1"))
    assert refused(archive).place == "mine.zip, config.json"


def edit(model, **changes):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"transformers_weights": "adapter_model.bin"}, "transformers_weights"),
        ({"transformers_weights": "../other.safetensors"}, "transformers_weights"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"num_hidden_layers": 10**4000}, "num_hidden_layers"),
        ({"text_config": {"n_layers": 5000}}, "n_layers"),
        ({"num_labels": 10**9}, "num_labels"),
    ],
)
def test_entries_that_read_other_files_or_fill_the_memory_are_refused(archive, model, changes, told):
    edit(model, **changes)
    error = refused(archive)
    assert told in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"vocab_size": 10**9},
        {"hidden_size": 10**6, "num_attention_heads": 10},
        {"intermediate_size": 10**12},
        {"hidden_size": "eight"},
        {"hidden_size": -8},
        {"num_attention_heads": 3},
        {"hidden_act": "dance"},
        {"model_type": "t6"},
        {"model_type": "vit"},
        {"model_type": 3},
        {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}},
    ],
)
def test_networks_that_cannot_be_built_are_refused_in_words_and_before_memory_is_taken(model, changes):
    edit(model, **changes)
    with pytest.raises(InputError, match="model"):
        hugging_face(str(model))


@pytest.mark.parametrize(
    "parts",
    [
        {"a": "model-00001-of-00002.safetensors"},
        {"a": "../my model/part.safetensors"},
        {"a": "pytorch_model.bin"},
        {"a": 3},
        {},
        None,
    ],
)
def test_an_index_names_only_safetensors_that_are_there(archive, model, parts):
    (model / "model.safetensors").rename(model / "part.safetensors")
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a": "part.safetensors"}}))
    assert model_folder(archive, "mine.zip") == model
    index.write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    if parts != {}:
        assert "model.safetensors.index.json" in refused(archive).found
    else:
        with pytest.raises(InputError):
            hugging_face(str(model))


def test_python_files_are_named_and_not_run(archive, model, tmp_path):
    run = f"open({str(tmp_path / 'ran')!r}, 'w')"
    (model / "modeling_mine.py").write_text(run)
    (model / "deep").mkdir()
    (model / "deep" / "a.py").write_text(run)
    edit(model, auto_map={"AutoConfig": "modeling_mine.C", "AutoModelForSequenceClassification": "modeling_mine.M"})
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": [None, "modeling_mine.T"]}
    folder = model_folder(archive, "mine.zip", text=True)
    assert {file.name for file in folder.rglob("*.py")} == {"a.py", "modeling_mine.py"}
    # a known kind of network: its own code is taken
    assert hugging_face(str(folder), classes=3)(torch.tensor([[2, 4, 3]])).shape == (1, 3)
    tokenize(folder, ["a film"])
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    try:
        tokenize(folder, ["a film"])
    except InputError as error:
        assert error.place == "tokenizer.json"  # noqa: PT017 - either is right, as long as nothing runs
    assert not (tmp_path / "ran").exists()


def test_texts_become_tokens_padded_to_the_longest(original):
    tokens = tokenize(original, ["A good film", "not", "bad films BAD", "unheard of"])
    assert tokens.ids.tolist() == [
        [2, 4, 5, 7, 3, 0],
        [2, 9, 3, 0, 0, 0],
        [2, 6, 7, 8, 6, 3],
        [2, 1, 1, 3, 0, 0],
    ]
    assert tokens.ids.dtype == np.int64
    assert tokens.pad_id == 0


def test_texts_of_many_chunks_are_those_read_one_at_a_time(original, monkeypatch):
    texts = ["good " * (i % 7) + "film" for i in range(25)]
    whole = tokenize(original, texts).ids
    monkeypatch.setattr("kernelsm.models.model_folders._CHUNK", 4)
    assert np.array_equal(tokenize(original, texts).ids, whole)
    for row, text in zip(whole, texts, strict=True):
        (alone,) = tokenize(original, [text]).ids
        assert np.array_equal(row[: len(alone)], alone)
        assert (row[len(alone) :] == 0).all()


@pytest.mark.parametrize("most", [3, 4, 7])
def test_long_texts_are_cut_but_keep_their_end_mark(original, most):
    (row,) = tokenize(original, ["good " * 300], max_length=most).ids
    assert row.tolist() == [2] + [5] * (most - 2) + [3]


def test_the_tokenizer_may_allow_less_than_is_asked_for(tmp_path):
    save_tokenizer(tmp_path, model_max_length=5)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert tokenize(tmp_path, ["good " * 300]).ids.shape == (1, 5)
    assert tokenize(tmp_path, ["good " * 300], max_length=4).ids.shape == (1, 4)


def test_no_text_makes_no_token(original):
    assert tokenize(original, []).ids.shape == (0, 0)


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        (["a", None], "text 2"),
        ([3], "text 1"),
        (["a", b"film"], "text 2"),
        (["a", ["film", "film"]], "text 2"),
        (["a", float("nan")], "text 2"),
        (["a", "b", "half \ud83d"], "text 3"),
    ],
)
def test_what_is_no_text_is_refused_with_its_number(original, texts, place):
    with pytest.raises(InputError) as caught:
        tokenize(original, texts)
    assert caught.value.place == place


def test_a_text_without_tokens_is_refused(tmp_path):
    save_tokenizer(tmp_path, marked=False)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError) as caught:
        tokenize(tmp_path, ["a film", " "])
    assert caught.value.place == "text 2"


def test_without_a_padding_token_the_end_token_pads_where_no_text_holds_it(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    save_tokenizer(tmp_path, marked=False, pad_token=None, eos_token="[SEP]")
    tokens = tokenize(tmp_path, ["a good film", "not"])
    assert tokens.pad_id == 3
    assert tokens.ids.tolist() == [[4, 5, 7], [9, 3, 3]]
    with pytest.raises(InputError, match="no padding token"):
        tokenize(tmp_path, ["a good film", "not [SEP] bad"])
    save_tokenizer(tmp_path, marked=False, pad_token=None)
    with pytest.raises(InputError, match="no padding token"):
        tokenize(tmp_path, ["a good film", "not"])


@pytest.mark.parametrize("most", [0, 1, 2, 2.5, True])
def test_lengths_that_leave_no_room_are_refused(original, most):
    with pytest.raises(InputError) as caught:
        tokenize(original, ["good " * 9], max_length=most)
    assert caught.value.place == "max_length"


def test_a_tokenizer_that_fails_on_a_text_is_refused(model):
    text = (model / "tokenizer.json").read_text()
    (model / "tokenizer.json").write_text(
        text.replace('"unk_token":"[UNK]"', '"unk_token":"[GONE]"').replace(
            '"unk_token": "[UNK]"', '"unk_token": "[GONE]"'
        )
    )
    with pytest.raises(InputError, match=r"tokenizer\.json: found nothing that reads text"):
        tokenize(model, ["unheard of"])


@pytest.mark.parametrize(
    "content", ["", "{}", "null", '{"model": 3}', '{"model": {"type": "WordPiece", "vocab": {}}}', "\x00"]
)
def test_a_tokenizer_that_cannot_be_read_is_refused(model, content):
    (model / "tokenizer.json").write_text(content)
    with pytest.raises(InputError):
        tokenize(model, ["a film"])


def test_tokens_and_padding_suit_the_model(original):
    texts = ["A good film", "not", "bad films"]
    tokens = tokenize(original, texts)
    network = hugging_face(str(original), pad_id=tokens.pad_id)
    with torch.no_grad():
        together = network(torch.from_numpy(tokens.ids))
        for row, text in zip(together, texts, strict=True):
            alone = network(torch.from_numpy(tokenize(original, [text]).ids))[0]
            torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("value", "allowed"), [(None, False), ("", False), ("0", False), ("yes", False), ("1", True)]
)
def test_paths_are_allowed_only_by_the_environment(monkeypatch, value, allowed):
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS", raising=False)
    if value is not None:
        monkeypatch.setenv("KERNELSM_ALLOW_PATHS", value)
    assert local_models_allowed() is allowed


def test_looking_at_a_folder_needs_no_torch():
    code = (
        "import sys, kernelsm.models.model_folders, kernelsm.models.sentence_encoder as s; from pathlib import Path\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["~nobody-of-that-name/bert", "x" * 300, "/" + "x" * 300, "a\0b", " ", "a/" + "b" * 300]
)
def test_names_that_are_no_folder_are_refused_and_never_raise_what_the_system_says(tmp_path, monkeypatch, name):
    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert own_folder(name) is None
    for load in (lambda: copy_model(name, tmp_path), lambda: hugging_face(name), lambda: load_language_model(name)):
        with pytest.raises(InputError):
            load()
    config = {"peft_type": "LORA", "base_model_name_or_path": name}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").write_bytes(save({"x": torch.zeros(1)}))
    with pytest.raises(InputError):
        hugging_face(str(tmp_path))
