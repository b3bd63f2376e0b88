"""A language model with adapters by its folder: built, saved and loaded without the model's own weights."""

import pytest
import torch
from safetensors import safe_open
from small_language_model import save

from kernelsm import InputError
from kernelsm.models.causal_text import language_model
from kernelsm.models.hashing import model_hash
from kernelsm.models.registry import build_model
from kernelsm.models.weights import load_weights, own_state, read_weights, save_weights


@pytest.fixture
def folder(tmp_path):
    language_model.cache_clear()
    yield str(save(tmp_path / "tiny"))
    language_model.cache_clear()


def test_it_is_built_by_name_and_its_weights_are_the_models(folder):
    model = build_model("causal_text", folder=folder, rank=2, alpha=4, seed=3)
    assert language_model(folder) is language_model(folder)
    its_own = {id(p) for p in language_model(folder).network.parameters()}
    for p in model.parameters():
        assert p.requires_grad != (id(p) in its_own)
    again = build_model("causal_text", folder=folder, rank=2, alpha=4, seed=3)
    assert model_hash(again) == model_hash(model)
    assert model_hash(build_model("causal_text", folder=folder, rank=2, alpha=4, seed=4)) != model_hash(model)


def test_what_is_saved_are_the_adapters_and_they_come_back(folder, tmp_path):
    model = build_model("causal_text", folder=folder, rank=2)
    with torch.no_grad():
        for name, p in own_state(model).items():
            assert "lora_" in name
            p.normal_()  # the parameters themselves
    path = save_weights(model, tmp_path / "weights.safetensors")
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {name for name, p in model.named_parameters() if p.requires_grad}
    other = build_model("causal_text", folder=folder, rank=2)
    assert model_hash(other) != model_hash(model)
    load_weights(other, read_weights(path, path.name), path.name)
    assert model_hash(other) == model_hash(model)
    with pytest.raises(InputError, match="wrong shape"):
        load_weights(build_model("causal_text", folder=folder, rank=4), read_weights(path, path.name), path.name)


def test_all_of_a_network_without_frozen_parameters_is_its_own():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    assert set(own_state(model)) == set(model.state_dict())
