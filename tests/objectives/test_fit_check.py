"""A network and samples that do not fit together are told so before any work is done."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kernelsm import InputError
from kernelsm.models.hugging_face import HuggingFaceClassifier
from kernelsm.models.mlp import mlp
from kernelsm.models.resnet import resnet9
from kernelsm.models.transformer import transformer
from kernelsm.objectives.fit_check import check_model


def suite_of(blobs, shape, *, test_shape=None, tokens=None):
    """The blobs' tasks with other samples: numbers, or tokens below `tokens`."""
    rng = np.random.default_rng(0)

    def samples(n, shape):
        if tokens is None:
            return rng.normal(size=(n, *shape)).astype(np.float32)
        return rng.integers(0, tokens, (n, *shape))

    n, tests = len(blobs.labels), len(blobs.test_labels)
    return replace(blobs, inputs=samples(n, shape), test_inputs=samples(tests, test_shape or shape))


def refused(model, suite):
    with pytest.raises(InputError) as caught:
        check_model(model, suite)
    assert len(str(caught.value)) < 450
    return caught.value


@pytest.mark.parametrize(
    ("model", "shape", "tokens"),
    [
        (mlp((4, 3)), (4,), None),
        (mlp((12, 5, 3), flatten=True), (3, 2, 2), None),
        (resnet9(1, 3, width=2), (1, 8, 8), None),
        (transformer(9, 3, 6, width=8, heads=2), (5,), 9),
    ],
)
def test_what_fits_is_described(blobs, model, shape, tokens):
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    facts = check_model(model, suite_of(blobs, shape, tokens=tokens))
    assert facts.parameters == sum(p.numel() for p in model.parameters())
    assert facts.outputs == 3
    assert 0 < facts.milliseconds < 10_000
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name  # the statistics of BatchNorm as well
    assert all(p.grad is None for p in model.parameters())
    assert not any(layer._forward_pre_hooks for layer in model.modules())


def test_frozen_parameters_are_not_counted_and_some_must_be_left(blobs):
    model = mlp((4, 5, 3))
    model[0].requires_grad_(False)
    assert check_model(model, blobs).parameters == 18
    model.requires_grad_(False)
    assert refused(model, blobs).found == "no parameter to train"


def test_samples_of_another_shape_than_the_first_layer_reads(blobs):
    error = refused(mlp((32, 16, 3)), suite_of(blobs, (64,)))
    assert error.place == "samples"
    assert error.found == "samples of shape (64,), float32"
    assert error.expected == "32 numbers a sample, float32, for the first layer '0'"


def test_images_for_linear_layers_are_told_to_be_flattened(blobs):
    error = refused(mlp((64, 3)), suite_of(blobs, (1, 8, 8)))
    assert "(1, 8, 8)" in error.found
    assert '"flatten": true' in error.fix


@pytest.mark.parametrize(
    ("model", "shape", "tokens", "found", "expected"),
    [
        (resnet9(3, 3, width=2), (1, 8, 8), None, "(1, 8, 8)", "images of 3 channels"),
        (resnet9(1, 3, width=2), (64,), None, "(64,)", "images of 1 channels"),
        (mlp((4, 3)), (4,), 9, "int64", "4 numbers a sample, float32"),
        (transformer(9, 3, 6, width=8, heads=2), (4,), None, "float32", "whole numbers from 0 to 8"),
        (transformer(9, 3, 6, width=8, heads=2), (7,), 9, "sequences of 7 tokens", "at most 6"),
        (mlp((8, 3)), (1, 8, 8), None, "outputs of shape (4, 1, 8, 3) for 4 samples", "each of 3 classes"),
    ],
)
def test_other_kinds_of_samples_than_the_network_reads(blobs, model, shape, tokens, found, expected):
    error = refused(model, suite_of(blobs, shape, tokens=tokens))
    assert found in error.found
    assert expected in error.expected


def test_images_that_are_too_small_fail_behind_the_last_layer_that_could_read_them(blobs):
    error = refused(resnet9(1, 3, width=2), suite_of(blobs, (1, 4, 4)))
    assert error.found.startswith(
        "samples of shape (1, 4, 4), float32, on which it fails behind layer 'widen_8.norm' ("
    )


def test_layers_that_do_not_fit_each_other_are_named(blobs):
    error = refused(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(5, 3)), blobs)
    assert error.place == "network"
    assert "layer '2' fails: it is given shape (4, 6)" in error.found
    assert "5 numbers" in error.expected


@pytest.mark.parametrize("where", ["inputs", "test_inputs"])
@pytest.mark.parametrize("token", [-1, 9, 10**12])
def test_every_token_must_be_known_to_the_network(blobs, where, token):
    suite = suite_of(blobs, (4,), tokens=9)
    changed = getattr(suite, where).copy()
    changed[-1, 2] = token  # a sample that the trial run does not see
    error = refused(transformer(9, 3, 6, width=8, heads=2), replace(suite, **{where: changed}))
    assert error.place == ("test samples" if where == "test_inputs" else "training samples")
    assert error.found == f"token {token:,}"
    assert "0 to 8" in error.expected


def test_longer_sequences_than_a_pretrained_network_has_places_for(blobs):
    import transformers

    config = transformers.BertConfig(
        vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=6, num_labels=3, pad_token_id=0,
    )  # fmt: skip
    network = transformers.BertForSequenceClassification._from_config(config, attn_implementation="eager")
    model = HuggingFaceClassifier(network).eval()
    suite = suite_of(blobs, (6,), tokens=9)
    assert check_model(model, replace(suite, inputs=suite.inputs.clip(1), test_inputs=suite.test_inputs.clip(1)))
    assert refused(model, suite_of(blobs, (7,), tokens=9)).found == "sequences of 7 tokens"


def test_training_and_test_samples_must_have_one_shape(blobs):
    error = refused(mlp((4, 3)), suite_of(blobs, (4,), test_shape=(5,)))
    assert error.place == "test samples"
    assert error.found == "shape (5,)"


@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_there_must_be_one_output_for_each_class(blobs, outputs):
    error = refused(mlp((4, outputs)), blobs)
    assert error.found == f"{outputs} outputs a sample"
    assert "3 classes" in error.expected
    assert "3 outputs" in error.fix


class Returning(nn.Module):
    """Returns what a function makes of its logits."""

    def __init__(self, change):
        super().__init__()
        self.inner, self.change = mlp((4, 3)), change

    def forward(self, x):
        return self.change(self.inner(x))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: (x, x), "type tuple"),
        (lambda x: x.argmax(1), "type Tensor"),
        (lambda x: x[:, 0], "shape (4,)"),
        (lambda x: x.mean(0, keepdim=True), "shape (1, 3)"),
        (lambda x: x / 0, "NaN or infinite"),
        (lambda x: x * math.nan, "NaN or infinite"),
    ],
)
def test_outputs_must_be_finite_numbers_of_each_sample(blobs, change, found):
    assert found in refused(Returning(change), blobs).found


def test_samples_that_are_not_finite_are_blamed_and_not_the_network(blobs):
    inputs = blobs.inputs.copy()
    inputs[0, 0] = np.nan
    assert refused(mlp((4, 3)), replace(blobs, inputs=inputs)).place == "samples"


def test_a_network_that_fails_by_itself_is_told_in_its_words_and_left_as_it_was(blobs):
    def fail(x):
        raise ValueError("not today\nand more")

    model = Returning(fail).train()
    error = refused(model, blobs)
    assert model.training
    assert not any(layer._forward_pre_hooks or layer._forward_hooks for layer in model.modules())
    assert error.found == "samples of shape (4,), float32, on which it fails behind layer 'inner.0' (not today)"


def test_a_network_that_answers_differently_each_time_is_refused(blobs):
    error = refused(Returning(lambda x: torch.nn.functional.dropout(x, 0.2, training=True)), blobs)
    assert "answers differently each time" in error.found
    assert check_model(Returning(lambda x: torch.nn.functional.dropout(x, 0.2, training=False)), blobs).outputs == 3
