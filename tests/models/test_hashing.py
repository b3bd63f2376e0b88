"""What names a network: the hashes that finished results and projects already hold, wherever the code stands."""

import importlib
import pkgutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import kernelsm.models
from kernelsm.models.hashing import model_hash
from kernelsm.models.hugging_face import HuggingFaceClassifier
from kernelsm.models.registry import build_model
from kernelsm.models.resnet import ResNet9
from kernelsm.models.transformer import Transformer

NETWORKS = {
    "logistic": {"inputs": 4, "classes": 3},
    "mlp": {"sizes": [4, 5, 3]},
    "transformer": {"vocabulary": 9, "classes": 3, "length": 4, "width": 8, "heads": 2, "layers": 1},
    "resnet9": {"channels": 1, "classes": 3, "width": 2},
}


def numbered(model):
    """The network with weights that are the same on every machine."""
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_((torch.arange(value.numel()) % 64 / 64).reshape(value.shape))
    return model


def own_networks():
    """The classes of networks that kernelsm defines."""
    modules = [
        importlib.import_module(f"kernelsm.models.{found.name}")
        for found in pkgutil.iter_modules(kernelsm.models.__path__)
    ]
    return {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__.startswith("kernelsm.")
    }


class Unnamed(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("logistic", "62ef66417fead4693457e968cbd85affe6f239f6"),
        ("mlp", "fef4e2b1e24739f2047d2c3f9d2562ca43d08dfa"),
        ("transformer", "aa6ccb9ab5853037fee48322388910d817e13347"),
        ("resnet9", "b13be8f7a10b8eeae744099f114378fdb4e0d159"),
    ],
)
def test_networks_keep_the_hash_that_finished_results_name_them_by(name, expected):
    assert model_hash(numbered(build_model(name, **NETWORKS[name]))) == expected


def test_a_hugging_face_network_keeps_its_hash_too():
    inside = nn.Linear(4, 3)
    inside.config = SimpleNamespace(pad_token_id=0)
    assert model_hash(numbered(HuggingFaceClassifier(inside))) == "57573bb77424009eecbd7b5454f50c7f84ce239e"


def test_a_network_keeps_its_hash_when_its_file_moves(monkeypatch):
    models = [numbered(build_model(name, **NETWORKS[name])) for name in ("transformer", "resnet9")]
    before = [model_hash(model) for model in models]
    for kind in own_networks():
        monkeypatch.setattr(kind, "__module__", "kernelsm.elsewhere")
    assert [model_hash(model) for model in models] == before


def test_every_network_of_kernelsm_states_a_name_of_its_own():
    found = own_networks()
    assert {Transformer, ResNet9, HuggingFaceClassifier} < found
    assert len({vars(kind)["hashed_as"] for kind in found}) == len(found)


def test_a_class_that_states_no_name_is_known_by_its_path_and_never_by_the_name_of_its_parent(monkeypatch):
    settings = {"channels": 1, "classes": 3, "width": 2}
    child = type("ResNet9", (ResNet9,), {})
    one, other = numbered(ResNet9(**settings)), numbered(child(**settings))
    assert repr(one) == repr(other)
    assert model_hash(one) != model_hash(other)
    unnamed = numbered(Unnamed(4, 3))
    before = model_hash(unnamed)
    monkeypatch.setattr(Unnamed, "__module__", "elsewhere")
    assert model_hash(unnamed) != before
