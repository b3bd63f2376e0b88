"""The networks that are offered for data of each kind, and how many parameters they have."""

import inspect
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.models.mlp import mlp
from kernelsm.models.parameter_counts import COUNTS
from kernelsm.models.presets import presets
from kernelsm.models.registry import ARCHITECTURES, build_model
from kernelsm.objectives.training import train_base

DATA = {
    "table": ("tabular", (6,), {}),
    "one number": ("tabular", (1,), {}),
    "arrays": ("tabular", (5, 3), {}),
    "embeddings": ("text", (384,), {}),
    "grey image": ("image", (1, 28, 28), {}),
    "colour image": ("image", (3, 32, 32), {}),
    "tiny image": ("image", (3, 5, 9), {}),
    "large image": ("image", (3, 64, 64), {}),
    "long image": ("image", (1, 2, 5000), {}),
    "tokens": ("tokens", (7,), {"vocabulary": 50}),
}
each_data = pytest.mark.parametrize(("kind", "shape", "more"), DATA.values(), ids=DATA)


@each_data
def test_every_preset_is_a_network_for_these_samples(kind, shape, more):
    found = presets(kind, shape, 5, 1000, **more)
    assert found
    for name, preset in found.items():
        model = build_model(preset.architecture, **preset.config).eval()
        x = torch.zeros((2, *shape), dtype=torch.int64) if kind == "tokens" else torch.rand((2, *shape))
        assert model(x).shape == (2, 5), name
        parameters = sum(p.numel() for p in model.parameters())
        assert preset.parameters == parameters
        assert f"{parameters:,} parameters" in preset.sentence
        assert preset.title
        assert json.loads(json.dumps([preset.config, preset.training])) == [preset.config, preset.training]


def test_what_is_offered_follows_the_samples():
    def names(kind, shape, **more):
        return list(presets(kind, shape, 2, 100, **more))

    assert names("tabular", (6,)) == names("text", (384,)) == ["logistic", "mlp"]
    assert names("image", (1, 28, 28)) == ["logistic", "mlp", "resnet9"]
    assert names("image", (1, 7, 28)) == ["logistic", "mlp"]  # the convolutions halve it too often
    assert names("image", (3, 224, 224)) == ["resnet9"]
    assert names("tokens", (7,), vocabulary=9) == ["transformer"]


@pytest.mark.parametrize("samples", [1, 2, 99, 100, 101, 5_000, 2_000_000])
def test_training_arguments_are_those_of_train_base_and_bounded(samples):
    for kind, shape, more in DATA.values():
        for preset in presets(kind, shape, 3, samples, **more).values():
            training = preset.training
            assert set(training) <= set(inspect.signature(train_base).parameters)
            batches = 1 if training["batch_size"] is None else -(-samples // training["batch_size"])
            assert training["epochs"] >= 3
            assert batches * training["epochs"] <= max(20_000, 3 * batches)
            assert ("patience" in training) == ("validation" in training) == (samples >= 100)


@pytest.mark.parametrize("samples", [12, 300])
def test_the_presets_learn_what_can_be_learned(blobs, samples):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, samples)
    inputs = (rng.normal(size=(samples, 6)) + 2 * labels[:, None]).astype(np.float32)
    suite = replace(
        blobs, inputs=inputs, labels=labels, task_of=np.arange(samples) % 5, test_inputs=inputs[:4],
        test_labels=labels[:4], target_of=np.array([0, 1, 2, 2]), classes=2,
    )  # fmt: skip
    for preset in presets("tabular", (6,), 2, samples).values():
        model = train_base(build_model(preset.architecture, **preset.config), suite, **preset.training)
        right = (model(torch.from_numpy(inputs)).argmax(1).numpy() == labels).mean()
        assert right > 0.9


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (("sound", (6,), 2, 10), "kind"),
        (("tabular", (), 2, 10), "input_shape"),
        (("text", (6, 6), 2, 10), "input_shape"),
        (("image", (28, 28), 2, 10), "input_shape"),
        (("tokens", (7,), 2, 10), "vocabulary"),
        (("tabular", (0,), 2, 10), "input_shape, number 1"),
        (("tabular", (6,), 0, 10), "classes"),
        (("tabular", (6,), 2, 0), "samples"),
    ],
)
def test_data_that_no_network_fits_are_refused_by_name(arguments, place):
    with pytest.raises(InputError) as caught:
        presets(*arguments)
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("logistic", {"inputs": 7, "classes": 3}),
        ("logistic", {"inputs": 12, "classes": 3, "flatten": True}),
        ("mlp", {"sizes": [7, 3]}),
        ("mlp", {"sizes": [12, 9, 8, 3], "flatten": True}),
        ("resnet9", {}),
        ("resnet9", {"channels": 1, "classes": 4, "width": 3}),
        ("transformer", {"vocabulary": 99, "classes": 97, "length": 4}),
        ("transformer", {"vocabulary": 9, "classes": 3, "length": 5, "width": 12, "heads": 3, "layers": 3}),
        ("transformer", {"vocabulary": 9, "classes": 3, "length": 5, "width": 12, "heads": 2, "expansion": 2}),
    ],
)
def test_parameters_are_counted_without_building(name, config):
    model = build_model(name, **config)
    assert COUNTS[name](**config) == sum(p.numel() for p in model.parameters())


def test_what_counts_an_architecture_has_its_arguments():
    assert set(COUNTS) == set(ARCHITECTURES) - {"hugging_face", "causal_text"}
    for name, count in COUNTS.items():
        mine, its = (inspect.signature(f).parameters.values() for f in (count, ARCHITECTURES[name]))
        assert [(p.name, p.kind, p.default) for p in mine] == [(p.name, p.kind, p.default) for p in its]


def test_flattening_changes_neither_weights_nor_their_names():
    plain, flattened = mlp((12, 5, 3), seed=4), mlp((12, 5, 3), flatten=True, seed=4)
    assert list(plain.state_dict()) == list(flattened.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = torch.rand((4, 3, 2, 2))
    torch.testing.assert_close(plain(x.flatten(1)), flattened(x))
    torch.testing.assert_close(plain(x.flatten(1)), flattened(x.flatten(1)))


def test_per_sample_gradients_pass_through_the_flattening():
    from kernelsm.gradients.features import gradient_features

    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 3, 2, 2)).astype(np.float32), np.array([0, 1, 2, 0, 1, 2])
    plain, flattened = mlp((12, 5, 3)).eval(), mlp((12, 5, 3), flatten=True).eval()
    for projection in ("exact", "gaussian"):
        one = gradient_features(plain, x.reshape(6, 12), y, projection, 16)
        other = gradient_features(flattened, x, y, projection, 16)
        for name in ("features", "model_outputs"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-5)


def test_presets_and_configurations_need_no_torch():
    code = (
        "import sys; from kernelsm.models.presets import presets; from kernelsm.models import config_files as c\n"
        "p = presets('image', (1, 28, 28), 10, 100)['mlp']\n"
        "c.read_config(c.config_template(p).encode(), 'a.json')\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
