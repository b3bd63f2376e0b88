"""Hugging Face sequence classification: tokens in, logits out, safetensors only."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from kernelsm import InputError
from kernelsm.models.hashing import model_hash
from kernelsm.models.hugging_face import hugging_face

ENCODER = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def network(kind):
    import transformers

    sizes = {
        "Bert": {**ENCODER, "max_position_embeddings": 12},
        "Roberta": {**ENCODER, "max_position_embeddings": 14},
        "Llama": {**ENCODER, "max_position_embeddings": 12, "num_key_value_heads": 2},
        "DistilBert": {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 12},
        "GPT2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "n_positions": 12, "bos_token_id": 0, "eos_token_id": 0},
    }
    config = getattr(transformers, f"{kind}Config")(vocab_size=30, num_labels=3, initializer_range=0.5, **sizes[kind])
    torch.manual_seed(3)
    return transformers.AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()


def saved(folder, kind):
    model = network(kind)
    model.save_pretrained(folder)
    return model


@pytest.fixture
def tokens():
    return torch.randint(3, 30, (5, 7), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert", "GPT2", "Llama"])
def test_logits_are_those_of_the_saved_model(tmp_path, tokens, kind):
    original = saved(tmp_path, kind)
    model = hugging_face(str(tmp_path), classes=3)
    with torch.no_grad():
        # one sample at a time the original needs no padding token
        expected = torch.cat([original(input_ids=row[None]).logits for row in tokens])
        torch.testing.assert_close(model(tokens), expected, rtol=1e-4, atol=1e-5)
    assert not model.training


@pytest.mark.parametrize("kind", ["Bert", "GPT2", "Llama"])
def test_the_hash_knows_the_configuration_but_not_the_folder(tmp_path, tokens, kind):
    saved(tmp_path / "one", kind)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    file = tmp_path / "other" / "config.json"
    changes = {
        "Bert": {"num_attention_heads": 4}, "GPT2": {"n_head": 4},
        "Llama": {"rope_parameters": {"rope_type": "default", "rope_theta": 2.0}},
    }  # fmt: skip
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes[kind]}))
    one, two, other = (hugging_face(str(tmp_path / name)) for name in ("one", "two", "other"))
    assert not torch.allclose(one(tokens), other(tokens), rtol=1e-5)
    assert model_hash(one) == model_hash(two) != model_hash(other)


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert", "GPT2", "Llama"])
def test_padding_changes_nothing(tmp_path, tokens, kind):
    saved(tmp_path, kind)
    model = hugging_face(str(tmp_path), pad_id=1)
    padded = torch.cat([tokens, torch.ones((5, 3), dtype=torch.int64)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(model(padded), model(tokens), rtol=1e-4, atol=1e-5)
        other = torch.cat([tokens, torch.full((5, 3), 2)], dim=1)
        assert (model(other) - model(tokens)).abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["Bert", "DistilBert", "GPT2", "Llama"])
def test_per_sample_gradients_by_vmap_are_those_of_single_samples(tmp_path, tokens, kind):
    saved(tmp_path, kind)
    model = hugging_face(str(tmp_path), pad_id=1)
    tokens[:2, 5:] = 1
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def loss(weights, row):
        return torch.func.functional_call(model, weights, (row[None],))[0, 2]

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, tokens)
    for row in range(len(tokens)):
        model.zero_grad()
        model(tokens[row : row + 1])[0, 2].backward()
        for name, p in model.named_parameters():
            expected = torch.zeros_like(p) if p.grad is None else p.grad
            torch.testing.assert_close(found[name][row], expected, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_without_a_head_gets_a_fresh_one_from_the_seed(tmp_path, tokens):
    original = network("Bert")
    original.bert.save_pretrained(tmp_path)
    before = torch.get_rng_state()
    one, same, other = (hugging_face(str(tmp_path), classes=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert one(tokens).shape == (5, 5)
    torch.testing.assert_close(one(tokens), same(tokens), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(one(tokens), other(tokens), rtol=1e-2)
    body = one.network.bert.encoder.layer[0].output.dense.weight
    assert torch.equal(body, original.bert.encoder.layer[0].output.dense.weight)


def test_half_precision_is_read_as_single(tmp_path):
    network("Bert").half().save_pretrained(tmp_path)
    assert {p.dtype for p in hugging_face(str(tmp_path)).parameters()} == {torch.float32}


def test_pickled_weights_are_refused_with_the_way_to_convert_them(tmp_path):
    model = saved(tmp_path, "Bert")
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pytorch_model\.bin.*safetensors.*save_pretrained"):
        hugging_face(str(tmp_path))


def test_folders_that_hold_no_model_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        hugging_face(str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"no config\.json"):
        hugging_face(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no weights"):
        hugging_face(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(InputError, match="nothing that can be loaded"):
        hugging_face(str(tmp_path))


def test_a_head_for_another_number_of_classes_is_refused(tmp_path):
    saved(tmp_path, "GPT2")
    with pytest.raises(InputError, match=r"score\.weight: found shape \(3, 8\); expected \(4, 8\), for 4 classes"):
        hugging_face(str(tmp_path), classes=4)


def test_weights_of_another_network_are_refused(tmp_path):
    saved(tmp_path, "Bert")
    network("DistilBert").config.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="no weights for distilbert"):
        hugging_face(str(tmp_path))


def test_code_that_comes_with_a_model_is_not_run(tmp_path):
    saved(tmp_path, "Bert")
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError):
        hugging_face(str(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_importing_the_models_does_not_import_transformers():
    code = "import sys, kernelsm.models.registry; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
