"""Networks described in JSON files: what is read, and what is refused before memory is taken."""

import json

import pytest
import torch

from kernelsm import InputError
from kernelsm.models.config_files import config_template, read_config
from kernelsm.models.presets import presets
from kernelsm.models.registry import build_model


def described(architecture, **config):
    return json.dumps({"architecture": architecture, "config": config}).encode()


@pytest.mark.parametrize(
    ("kind", "shape"), [("tabular", (6,)), ("image", (1, 9, 9)), ("image", (3, 32, 32)), ("tokens", (5,))]
)
def test_every_template_is_read_as_the_network_that_it_describes(kind, shape):
    for preset in presets(kind, shape, 4, 50, vocabulary=20).values():
        text = config_template(preset)
        assert text.endswith("}\n")
        assert read_config(text.encode(), "mine.json") == (preset.architecture, preset.config)
        assert read_config(b"\xef\xbb\xbf" + text.encode(), "mine.json") == (preset.architecture, preset.config)
        build_model(preset.architecture, **preset.config)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "an empty file"),
        (b" \n", "Expecting value"),
        (b"{", "line 1, position 2"),
        (b'{"architecture": "mlp",\n "config": {"sizes": [3, 2]}', "line 2"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"\x80\x04\x95 pickle", "not UTF-8"),
        (b"[1, 2]", "a JSON list"),
        (b"null", "a JSON value"),
        (b"[" * 200_000, "lists within lists"),
        (b"{}", "'architecture'"),
        (b'{"architecture": "mlp"}', "'config'"),
        (b'{"config": {}}', "'architecture'"),
        (b'{"architecture": "mlp", "config": [3, 2]}', "an object of arguments"),
        (b'{"architecture": "mlp", "config": {"sizes": [3, 2]}, "epochs": 3}', "'epochs'"),
        (b'{"architecture": "mlp", "config": {"sizes": [3, 2], "sizes": [3, 3, 2]}}', "twice"),
        (b'{"architecture": "mlp", "config": {"sizes": [' + b"9" * 5000 + b", 2]}}", "no JSON (Exceeds the limit"),
        (b'{"model_type": "bert", "architectures": ["BertModel"]}', "zip"),
        (b" " * (2**20 + 1), "2 MiB"),
    ],
)
def test_what_is_no_description_is_refused_with_the_file(data, told):
    with pytest.raises(InputError) as caught:
        read_config(data, "mine.json")
    assert caught.value.place.startswith("mine.json")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "config", "place", "told"),
    [
        ("MLP", {"sizes": [3, 2]}, "architecture", "Did you mean 'mlp'?"),
        ("resnet", {}, "architecture", "Did you mean 'resnet9'?"),
        ("unet", {}, "architecture", "'transformer'"),
        (["mlp"], {}, "architecture", "'mlp'"),
        (None, {}, "architecture", "'mlp'"),
        ("mlp", {}, "mlp, sizes", "nothing"),
        ("mlp", {"size": [3, 2]}, "mlp, size", "Did you mean 'sizes'?"),
        ("mlp", {"sizes": [3, 2], "dropout": 0.1}, "mlp, dropout", "sizes, flatten, seed"),
        ("mlp", {"sizes": [3]}, "sizes", "two sizes"),
        ("mlp", {"sizes": 3}, "sizes", "two sizes"),
        ("mlp", {"sizes": [3, 2.0]}, "sizes, number 2", "whole number"),
        ("mlp", {"sizes": [3, True]}, "sizes, number 2", "whole number"),
        ("mlp", {"sizes": [3, 2], "flatten": 1}, "flatten", "true or false"),
        ("mlp", {"sizes": [3, 2], "seed": -1}, "mlp, seed", "a whole number, 0 to"),
        ("logistic", {"inputs": 3}, "logistic, classes", "nothing"),
        ("logistic", {"inputs": float("nan"), "classes": 2}, "inputs", "nan"),
        ("transformer", {"vocabulary": 9, "classes": 2, "length": 3, "heads": 3}, "heads", "divisor"),
        ("resnet9", {"width": 0}, "width", "0"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(architecture, config, place, told):
    with pytest.raises(InputError) as caught:
        read_config(described(architecture, **config), "mine.json")
    assert caught.value.place == f"mine.json, {place}"
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "config", "told"),
    [
        ("mlp", {"sizes": [100_000, 100_000, 2]}, "10,000,300,002 parameters"),
        ("mlp", {"sizes": [10**12, 10**12]}, "more than a million billion parameters"),
        ("mlp", {"sizes": [10**4000, 10**4000]}, "more than a million billion parameters"),
        ("mlp", {"sizes": [1] * 100_000}, "99,999 layers"),
        ("logistic", {"inputs": 10**9, "classes": 2}, "2,000,000,002 parameters"),
        ("resnet9", {"width": 5000}, "parameters"),
        ("transformer", {"vocabulary": 10**9, "classes": 2, "length": 3}, "parameters"),
        ("transformer", {"vocabulary": 2, "classes": 2, "length": 3, "layers": 2000, "width": 4}, "2,000 layers"),
        ("transformer", {"vocabulary": 2, "classes": 2, "length": 3, "expansion": 10**7}, "parameters"),
    ],
)  # fmt: skip
def test_monstrous_networks_are_refused_before_they_are_built(architecture, config, told):
    with pytest.raises(InputError) as caught:
        read_config(described(architecture, **config), "mine.json")
    assert told in caught.value.found
    assert len(str(caught.value)) < 300


def test_paths_and_names_on_the_hub_are_refused_unless_allowed(tmp_path):
    data = described("hugging_face", folder="/etc", classes=2)
    with pytest.raises(InputError, match=r"mine\.json, architecture: found 'hugging_face'.*zip"):
        read_config(data, "mine.json")
    assert read_config(data, "mine.json", allow_paths=True) == ("hugging_face", {"folder": "/etc", "classes": 2})
    with pytest.raises(InputError, match="hugging_face, folder"):
        read_config(described("hugging_face"), "mine.json", allow_paths=True)
    with pytest.raises(InputError, match="hugging_face, folder"):
        read_config(described("hugging_face", folder=3), "mine.json", allow_paths=True)


def test_a_network_of_many_parameters_is_accepted_without_taking_memory():
    before = torch.get_rng_state()
    assert read_config(described("mlp", sizes=[20_000, 20_000, 10]), "mine.json")[0] == "mlp"
    assert torch.equal(torch.get_rng_state(), before)
