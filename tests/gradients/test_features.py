"""Gradient features: equal to autograd, sample by sample, and resumable."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from kernelsm import InputError, gradient_features
from kernelsm.gradients import choices
from kernelsm.gradients.contributions import Full
from kernelsm.gradients.projections import Gaussian, Kronecker
from kernelsm.runtime.progress import Cancelled
from kernelsm.runtime.store import Store


def by_autograd(model, sample):
    """Logits and the flattened gradient of each logit of one sample, with plain backward passes."""
    logits = model(torch.from_numpy(sample)[None])[0]
    rows = [
        torch.cat([g.flatten() for g in torch.autograd.grad(logit, list(model.parameters()), retain_graph=True)])
        for logit in logits
    ]
    return logits.detach().numpy(), torch.stack(rows).numpy()


def test_exact_features_are_autograds_gradients(blobs, blobs_model):
    found = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=7)
    for i, sample in enumerate(blobs.inputs):
        logits, gradients = by_autograd(blobs_model, sample)
        np.testing.assert_allclose(found.model_outputs[i], logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.features[i], gradients, rtol=1e-4, atol=1e-5)
    assert found.meta["projection"] == "exact basis"
    assert found.meta["parameters"] == found.features.shape[-1] == 4 * 6 + 6 + 6 * 3 + 3


def test_a_convolution_and_its_buffers_are_no_trouble():
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8, 3)
    )
    inputs = np.random.default_rng(0).normal(size=(5, 1, 4, 4)).astype(np.float32)
    model(torch.from_numpy(inputs))  # gives the buffers values that matter
    model.eval()
    found = gradient_features(model, inputs, np.zeros(5, dtype=np.int64))
    for i in range(5):
        logits, gradients = by_autograd(model, inputs[i])
        np.testing.assert_allclose(found.model_outputs[i], logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.features[i], gradients, rtol=1e-4, atol=1e-5)


def test_projected_features_are_the_projection_of_the_exact_ones(blobs, blobs_model):
    exact = gradient_features(blobs_model, blobs.inputs, blobs.labels, "exact")
    projected = gradient_features(blobs_model, blobs.inputs, blobs.labels, "gaussian", dim=8, batch_size=10)
    sketch = Gaussian(8).bind({name: p.shape for name, p in blobs_model.named_parameters()})
    into = torch.zeros((3, len(blobs.inputs), 8))
    start = 0
    for name, p in blobs_model.named_parameters():
        slot = torch.from_numpy(exact.features[..., start : start + p.numel()]).transpose(0, 1)
        sketch.add(into, name, Full(slot.unflatten(-1, p.shape)))
        start += p.numel()
    np.testing.assert_allclose(projected.features, into.transpose(0, 1), rtol=1e-4, atol=1e-4)
    assert projected.features.shape == (len(blobs.inputs), 3, 8)


def test_where_the_samples_lie_in_memory_changes_no_bit(blobs, blobs_model):
    settings = {"batch_size": 7, "outputs": "logits"}
    expected = gradient_features(blobs_model, blobs.inputs, blobs.labels, **settings).features
    size = blobs.inputs.nbytes
    for offset in (4, 20, 44):  # as what arrives from another process may lie
        memory = np.zeros(size + 64, dtype=np.uint8)
        moved = memory[offset : offset + size].view(np.float32).reshape(blobs.inputs.shape)
        moved[:] = blobs.inputs
        found = gradient_features(blobs_model, moved, blobs.labels, **settings).features
        np.testing.assert_array_equal(found, expected)


def test_the_batch_size_changes_nothing(blobs, blobs_model):
    one, many = (gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=b) for b in (1, 100))
    np.testing.assert_allclose(one.features, many.features, rtol=1e-4, atol=1e-5)


def test_the_store_keeps_each_chunk(blobs, blobs_model):
    reports = []

    def report(done, total, message="", *, reused=False):
        reports.append((done, total, reused))
        if len(reports) == 2:
            raise Cancelled

    def compute(count=40):
        store = Store()
        found = gradient_features(
            blobs_model, blobs.inputs[:count], blobs.labels[:count], batch_size=10, store=store, report=report
        )
        return found, store

    with pytest.raises(Cancelled):
        compute()
    # what was finished before the cancellation is found again
    found, second = compute()
    assert (second.computed, second.reused) == (2, 2)
    assert reports[2:] == [(1, 4, True), (2, 4, True), (3, 4, False), (4, 4, False)]
    again, third = compute()
    assert (third.computed, third.reused) == (0, 4)
    assert np.array_equal(found.features, again.features)
    assert np.array_equal(found.model_outputs, again.model_outputs)
    # more or fewer samples are arrays of their own
    assert compute(20)[1].computed == 2


def test_features_from_a_store_are_read_only_maps_and_equal_those_without(blobs, blobs_model):
    kept = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=10, store=Store())
    plain = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=10)
    assert isinstance(kept.features, np.memmap)
    assert not kept.features.flags.writeable
    np.testing.assert_allclose(kept.features, plain.features, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(kept.model_outputs, plain.model_outputs, rtol=1e-4, atol=1e-6)
    assert kept.meta == plain.meta


def test_damaged_features_are_computed_again(blobs, blobs_model):
    store = Store()
    first = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=10, store=store)
    right = np.array(first.features)
    (entry,) = store.entries()
    with (entry.path / "features.bin").open("r+b") as file:
        file.seek(12 * right[0].nbytes)
        file.write(b"damage")
    later = Store()
    found = gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=10, store=later)
    assert (later.computed, later.reused) == (1, 4)
    np.testing.assert_allclose(found.features, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("outputs", "computed"), [("logits", 1), ("margin", 2)])
def test_labels_matter_only_where_the_margin_is_linearised(blobs, blobs_model, outputs, computed):
    store = Store()
    for labels in (blobs.labels, (blobs.labels + 1) % 3, blobs.labels):
        found = gradient_features(blobs_model, blobs.inputs, labels, batch_size=100, store=store, outputs=outputs)
        assert np.array_equal(found.labels, labels)
    assert (store.computed, store.reused) == (computed, 3 - computed)


def test_everything_that_changes_the_features_is_part_of_the_key(blobs, blobs_model):
    store = Store()

    def compute(model=blobs_model, inputs=blobs.inputs, projection="exact", outputs="logits", batch_size=100):
        gradient_features(
            model, inputs, blobs.labels, projection, batch_size=batch_size, store=store, outputs=outputs
        )

    compute()
    changed = blobs.inputs.copy()
    changed[7, 2] = np.nextafter(changed[7, 2], np.float32(9.0))
    frozen, moved = copied(blobs_model), copied(blobs_model)
    frozen[0].bias.requires_grad_(False)
    moved[2].weight.data[0, 0] += 1e-6
    for change in (
        {"inputs": changed}, {"model": frozen}, {"model": moved}, {"projection": Kronecker(16)},
        {"projection": Kronecker(16, block=1)}, {"projection": Kronecker(16, seed=1)}, {"outputs": "margin"},
        {"model": copied(blobs_model).double()}, {"batch_size": 10},
    ):  # fmt: skip
        before = store.computed
        compute(**change)
        assert store.computed > before, change
    before = store.computed
    compute(model=copied(blobs_model), inputs=blobs.inputs.copy())
    assert store.computed == before


def copied(model):
    import copy

    return copy.deepcopy(model)


def test_other_weights_or_another_projection_are_other_chunks(blobs, blobs_model):
    from kernelsm.models.mlp import mlp

    store = Store()
    for model, projection in (
        (blobs_model, "exact"), (mlp((4, 6, 3), seed=9), "exact"), (blobs_model, Gaussian(8, seed=0)),
        (blobs_model, Gaussian(8, seed=1)),
    ):  # fmt: skip
        gradient_features(model, blobs.inputs, blobs.labels, projection, batch_size=100, store=store)
    assert (store.computed, store.reused) == (4, 0)


def test_the_seed_of_the_map_is_told(blobs, blobs_model):
    # features through two maps must not pass for features through one
    first, second = (
        gradient_features(blobs_model, blobs.inputs, blobs.labels, Gaussian(8, seed=seed)).meta for seed in (0, 1)
    )
    assert first != second


def test_gradients_that_are_not_finite_are_refused(blobs, blobs_model):
    broken = blobs.inputs.copy()
    broken[3, 0] = np.nan
    with pytest.raises(InputError, match="not finite"):
        gradient_features(blobs_model, broken, blobs.labels)


def test_weights_that_are_not_finite_are_refused(blobs, blobs_model):
    broken = copied(blobs_model)
    broken[2].bias.data[1] = float("nan")
    with pytest.raises(InputError, match="sample 0"):
        gradient_features(broken, blobs.inputs, blobs.labels)


def test_the_sample_that_is_not_finite_is_named(blobs, blobs_model):
    broken = blobs.inputs.copy()
    broken[[23, 30], 0] = np.inf
    for batch_size in (5, 100):
        with pytest.raises(InputError, match="gradients of sample 23:"):
            gradient_features(blobs_model, broken, blobs.labels, batch_size=batch_size)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (lambda y: y[1:], "labels: found 44; expected 45"),
        (lambda y: np.where(np.arange(45) == 7, 3, y), "labels, row 7: found label 3; expected 0..2"),
        (lambda y: np.where(np.arange(45) > 8, -1, y), "labels, row 9: found label -1; expected 0..2"),
        (lambda y: y.astype(float), "labels: found type float64"),
        (lambda y: y > 0, "labels: found type bool"),
    ],
)
def test_labels_that_do_not_fit_are_refused(blobs, blobs_model, labels, words):
    with pytest.raises(InputError) as caught:
        gradient_features(blobs_model, blobs.inputs, labels(blobs.labels))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("outputs", ["logits", "margin"])
def test_labels_with_two_axes_are_refused(blobs, blobs_model, outputs):
    with pytest.raises(InputError, match="labels"):
        gradient_features(blobs_model, blobs.inputs, np.eye(3, dtype=np.int64)[blobs.labels], outputs=outputs)


@pytest.mark.parametrize("outputs", ["logits", "margin"])
@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.uint8, np.uint16, np.uint64])
def test_labels_may_be_whole_numbers_of_any_width(blobs, blobs_model, outputs, dtype):
    expected = gradient_features(blobs_model, blobs.inputs, blobs.labels, outputs=outputs)
    found = gradient_features(blobs_model, blobs.inputs, blobs.labels.astype(dtype), outputs=outputs)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-6)
    assert np.array_equal(found.labels, expected.labels)
    assert found.labels.dtype == np.int64


def test_no_samples_are_refused(blobs, blobs_model):
    with pytest.raises(InputError, match="inputs: found no sample"):
        gradient_features(blobs_model, blobs.inputs[:0], blobs.labels[:0])


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"projection": "fourier"}, "projection"), ({"outputs": "losses"}, "outputs"),
        ({"projection": "gaussian", "dim": 0}, "dim"),
    ],
)  # fmt: skip
def test_unknown_names_are_refused(blobs, blobs_model, arguments, place):
    with pytest.raises(InputError) as caught:
        gradient_features(blobs_model, blobs.inputs, blobs.labels, **arguments)
    assert caught.value.place == place


@pytest.mark.parametrize("batch_size", [-1, -100])
def test_a_negative_batch_size_is_refused(blobs, blobs_model, batch_size):
    with pytest.raises(InputError, match="batch_size"):
        gradient_features(blobs_model, blobs.inputs, blobs.labels, batch_size=batch_size)


@pytest.mark.parametrize("arguments", [{"projection": "gaussian", "dim": np.int64(8)}, {"batch_size": np.int64(10)}])
def test_numpys_whole_numbers_are_whole_numbers(blobs, blobs_model, arguments):
    store = Store()
    gradient_features(blobs_model, blobs.inputs, blobs.labels, store=store, **arguments)
    plain = {name: value if isinstance(value, str) else int(value) for name, value in arguments.items()}
    computed = store.computed
    gradient_features(blobs_model, blobs.inputs, blobs.labels, store=store, **plain)
    assert store.computed == computed


@pytest.mark.parametrize("dtype", [object, str, ">f4"])
def test_inputs_that_torch_cannot_hold_are_refused_or_converted(blobs, blobs_model, dtype):
    inputs = blobs.inputs.astype(dtype)
    if dtype == ">f4":
        assert gradient_features(blobs_model, inputs, blobs.labels).features.shape[0] == len(inputs)
    else:
        with pytest.raises(InputError, match="inputs"):
            gradient_features(blobs_model, inputs, blobs.labels)


@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_inputs_are_brought_to_the_models_precision(blobs, blobs_model, dtype):
    inputs = blobs.inputs.astype(np.float16)
    expected = gradient_features(blobs_model, inputs.astype(np.float32), blobs.labels)
    found = gradient_features(blobs_model, inputs.astype(dtype), blobs.labels)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-6)
    assert found.features.dtype == found.model_outputs.dtype == np.float32


def test_a_model_in_double_precision_is_computed_in_it(blobs, blobs_model):
    single = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    double = gradient_features(copied(blobs_model).double(), blobs.inputs, blobs.labels)
    np.testing.assert_allclose(double.features, single.features, rtol=1e-4, atol=1e-6)
    assert double.features.dtype == np.float32


def test_whole_numbers_reach_a_model_that_wants_them_and_are_refused_by_one_that_does_not(blobs, blobs_model):
    ids = np.random.default_rng(0).integers(0, 5, (6, 2))
    model = torch.nn.Sequential(torch.nn.Embedding(5, 2), torch.nn.Flatten(), torch.nn.Linear(4, 3))
    found = gradient_features(model, ids.astype(np.int32), np.zeros(6, dtype=np.int64))
    expected = gradient_features(model, ids, np.zeros(6, dtype=np.int64))
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match=r"type torch\.int64"):
        gradient_features(blobs_model, np.ones((6, 4), dtype=np.int64), np.zeros(6, dtype=np.int64))


class Returns(torch.nn.Module):
    def __init__(self, what):
        super().__init__()
        self.layer, self.what = torch.nn.Linear(4, 3), what

    def forward(self, x):
        return self.what(self.layer(x))


def fails(out):
    raise KeyError("no such column")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (fails, "KeyError in its forward pass"), (lambda out: (out, out), "output of type tuple"),
        (lambda out: None, "output of type NoneType"), (lambda out: out[None], r"shape \(1, 8, 3\)"),
        (lambda out: out[:, 0], r"shape \(8,\)"), (lambda out: out[:1], r"shape \(1, 3\)"),
        (lambda out: out.argmax(dim=1), "output of type Tensor"),
    ],
)  # fmt: skip
def test_a_model_that_does_not_return_logits_is_refused(blobs, what, words):
    model = Returns(what)
    with pytest.raises(InputError, match=words):
        gradient_features(model, blobs.inputs, blobs.labels)
    assert model.training


def test_a_field_of_logits_is_taken_for_them(blobs):
    from types import SimpleNamespace

    model = Returns(lambda out: SimpleNamespace(logits=out, loss=None))
    found = gradient_features(model, blobs.inputs, blobs.labels)
    assert found.meta["engine"] == "hooks"
    expected = gradient_features(model.layer, blobs.inputs, blobs.labels)
    np.testing.assert_allclose(found.features, expected.features, rtol=1e-4, atol=1e-6)


def test_a_model_without_trainable_parameters_is_refused(blobs, blobs_model):
    with pytest.raises(InputError, match="Unfreeze"):
        gradient_features(copied(blobs_model).requires_grad_(False), blobs.inputs, blobs.labels)


# --- logits or margins ---


@pytest.mark.parametrize(("spare", "outputs"), [(0, "logits"), (-1, "margin")])
def test_auto_takes_the_margin_beyond_the_budget(blobs, blobs_model, monkeypatch, spare, outputs):
    n, d = len(blobs.inputs), sum(p.numel() for p in blobs_model.parameters())
    monkeypatch.setattr(choices, "OUTPUTS_BUDGET", n * 3 * d * 4 + spare)
    found = gradient_features(blobs_model, blobs.inputs, blobs.labels)
    assert found.outputs == found.meta["outputs"] == outputs
    assert found.features.shape == (n, 3 if outputs == "logits" else 1, d)
    assert found.model_outputs.shape == (n, 3)


def test_the_margins_features_are_those_of_the_logits_by_the_chain_rule(blobs, blobs_model):
    every, one = (
        gradient_features(blobs_model, blobs.inputs, blobs.labels, outputs=outputs)
        for outputs in ("logits", "margin")
    )
    p = np.exp(every.model_outputs) / np.exp(every.model_outputs).sum(axis=1, keepdims=True)
    slope = -p / (1 - np.take_along_axis(p, blobs.labels[:, None], axis=1))
    np.put_along_axis(slope, blobs.labels[:, None], 1.0, axis=1)
    np.testing.assert_allclose(
        one.features[:, 0], np.einsum("nc,ncd->nd", slope, every.features), rtol=1e-3, atol=1e-5
    )


# --- memory ---

MEASURED = """
import resource, sys
import numpy as np, torch
torch.set_num_threads(1)
from kernelsm import gradient_features
from kernelsm.models.mlp import mlp
from kernelsm.runtime.store import Store
n = int(sys.argv[1])
model = mlp((10, 400, 10), seed=0)
inputs = np.zeros((n, 10), np.float32) + np.linspace(0, 1, 10, dtype=np.float32)
inputs += np.arange(n, dtype=np.float32)[:, None] / n
labels = np.arange(n) % 10
few = gradient_features(model, inputs[:130], labels[:130], "kronecker", 512, 128, outputs="logits")
del few
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = gradient_features(model, inputs, labels, "kronecker", 512, 128, Store(), outputs="logits")
print(found.features.nbytes / 2**20, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10)
"""


def test_memory_does_not_grow_with_the_samples_where_there_is_a_store():
    def megabytes(n):
        out = subprocess.run([sys.executable, "-c", MEASURED, str(n)], capture_output=True, text=True, check=True)
        return map(float, out.stdout.split())

    small, few = megabytes(1_500)
    large, many = megabytes(6_000)
    assert large > 100
    assert many - few < 0.2 * (large - small)


def test_a_network_that_answers_differently_each_time_is_refused_with_the_reason(blobs):
    class Random(torch.nn.Module):
        def __init__(self, rate):
            super().__init__()
            self.first, self.last, self.rate = torch.nn.Linear(4, 8), torch.nn.Linear(8, 3), rate

        def forward(self, x):
            return self.last(torch.nn.functional.dropout(self.first(x), self.rate))  # also in eval mode

    with pytest.raises(InputError) as caught:
        gradient_features(Random(0.1), blobs.inputs, blobs.labels)
    assert "answers differently each time" in caught.value.found
    assert "training=self.training" in caught.value.fix
    assert gradient_features(Random(0.0), blobs.inputs, blobs.labels).features.shape[1] == 3
