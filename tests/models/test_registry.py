"""The built-in architectures: what they compute, where their weights come from, and the training of W0."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from kernelsm import InputError
from kernelsm.models.mlp import mlp
from kernelsm.models.registry import ARCHITECTURES, build_model
from kernelsm.models.transformer import transformer
from kernelsm.objectives.training import train_base
from kernelsm.runtime.store import content_hash

CONFIGS = {
    "logistic": {"inputs": 6, "classes": 3},
    "mlp": {"sizes": [6, 5, 3]},
    "transformer": {"vocabulary": 9, "classes": 3, "length": 4, "width": 8, "heads": 2},
    "resnet9": {"channels": 1, "classes": 3, "width": 4},
}


def batch_for(name, n=5):
    generator = torch.Generator().manual_seed(2)
    if name == "transformer":
        return torch.randint(0, 9, (n, 4), generator=generator)
    return torch.randn((n, 1, 8, 8) if name == "resnet9" else (n, 6), generator=generator)


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_follow_the_seed_and_leave_the_global_generator_alone(name):
    config = json.loads(json.dumps(CONFIGS[name]))
    before = torch.get_rng_state()
    one, same, other = (build_model(name, **config, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    hashes = [content_hash({k: v.numpy() for k, v in m.state_dict().items()}) for m in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert one(batch_for(name)).shape == (5, 3)


@pytest.mark.parametrize("name", CONFIGS)
def test_per_sample_gradients_by_vmap_are_those_of_single_samples(name):
    model = build_model(name, **CONFIGS[name]).eval()
    batch = batch_for(name)
    weights = {key: p.detach() for key, p in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def logit(weights, x):
        return torch.func.functional_call(model, (weights, buffers), (x[None],))[0, 1]

    found = torch.func.vmap(torch.func.grad(logit), (None, 0))(weights, batch)
    for row in range(len(batch)):
        model.zero_grad()
        model(batch)[row, 1].backward()  # in a batch: a sample's logits depend on that sample alone
        for key, p in model.named_parameters():
            torch.testing.assert_close(found[key][row], p.grad, rtol=1e-3, atol=1e-5)


def test_the_papers_transformer_has_its_size():
    model = transformer(vocabulary=99, classes=97, length=4)
    assert sum(p.numel() for p in model.parameters()) == 422_497


def test_the_short_cut_in_the_last_block_changes_nothing():
    model = transformer(vocabulary=9, classes=3, length=6, width=16, heads=4, seed=4).double()
    for p in model.parameters():  # far from the small initial weights, so that every part counts
        torch.nn.init.normal_(p, std=0.5, generator=torch.Generator().manual_seed(p.numel()))
    tokens = torch.randint(0, 9, (7, 6), generator=torch.Generator().manual_seed(5))
    x = model.token(tokens) + model.position.weight[:6]
    for block in model.blocks:
        q = block.attention.queries(block.norm_attention(x)).reshape(7, 6, 4, 4)
        k, v = block.attention.keys_values(block.norm_attention(x)).reshape(7, 6, 2, 4, 4).unbind(2)
        scores = torch.einsum("nthd,nshd->nhts", q, k) / 2.0
        allowed = torch.ones(6, 6).tril() == 1  # no position sees a later one
        mixed = torch.einsum("nhts,nshd->nthd", scores.where(allowed, -torch.inf).softmax(-1), v)
        x = x + block.attention.output(mixed.reshape(7, 6, 16))
        x = x + block.perceptron(block.norm_perceptron(x))
    torch.testing.assert_close(model(tokens), model.readout(model.norm(x[:, -1])), rtol=1e-9, atol=1e-9)


def test_the_order_of_tokens_matters():
    model = transformer(vocabulary=9, classes=3, length=4)
    a, b = model(torch.tensor([[1, 2, 3, 4]])), model(torch.tensor([[3, 2, 1, 4]]))
    assert (a - b).abs().max() > 1e-4


def test_what_shapes_do_not_tell_is_in_the_text_of_a_network():
    # the store's keys are made of weights and this text
    two, four = (transformer(9, 3, 4, width=8, heads=heads) for heads in (2, 4))
    assert torch.equal(two.token.weight, four.token.weight)
    assert repr(two) != repr(four)


@pytest.mark.parametrize(
    ("name", "config", "told"),
    [
        ("cnn", {}, "architecture"),
        ("mlp", {}, "mlp, sizes"),
        ("mlp", {"sizes": [4, 3], "depth": 2}, "mlp, depth"),
        ("mlp", {"sizes": [4]}, "sizes"),
        ("mlp", {"sizes": "64"}, "sizes"),
        ("mlp", {"sizes": [4, 0, 3]}, "sizes, number 2"),
        ("mlp", {"sizes": [4, 3], "seed": -1}, "mlp, seed"),
        ("logistic", {"inputs": 2.5, "classes": 3}, "inputs"),
        ("resnet9", {"width": True}, "width"),
        ("transformer", {"vocabulary": 9, "classes": 3, "length": 4, "heads": 3}, "heads"),
        ("transformer", {"vocabulary": 9, "classes": 3, "length": 4, "layers": 0}, "layers"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(name, config, told):
    with pytest.raises(InputError) as caught:
        build_model(name, **config)
    assert caught.value.place == told


def test_every_architecture_is_tried_here_or_beside():
    assert set(CONFIGS) | {"hugging_face", "causal_text"} == set(ARCHITECTURES)


def training_loss(model, suite):
    weights = torch.from_numpy(suite.sample_weights(np.ones((1, suite.K), dtype=bool))[0])
    with torch.no_grad():
        logits = model(torch.from_numpy(suite.inputs))
    losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(suite.labels), reduction="none")
    return float((weights * losses).sum())


def test_full_batch_training_is_plain_adam(blobs):
    model = train_base(mlp((4, 3)), blobs, epochs=5, learning_rate=0.05)
    other = mlp((4, 3))
    optimizer = torch.optim.Adam(other.parameters(), lr=0.05)
    weights = torch.from_numpy(blobs.sample_weights(np.ones((1, 5), dtype=bool))[0])
    for _ in range(5):
        optimizer.zero_grad()
        logits = other(torch.from_numpy(blobs.inputs))
        losses = torch.nn.functional.cross_entropy(logits, torch.from_numpy(blobs.labels), reduction="none")
        (weights * losses).sum().backward()
        optimizer.step()
    torch.testing.assert_close(model[0].weight, other[0].weight, rtol=1e-4, atol=1e-5)
    assert not model.training


def test_batches_follow_the_seed_and_nothing_else(blobs):
    def trained(seed):
        torch.rand(7)  # the global generator may stand anywhere
        dropping = torch.nn.Sequential(mlp((4, 8)), torch.nn.Dropout(0.5), mlp((8, 3)))
        return train_base(dropping, blobs, epochs=3, batch_size=10, seed=seed)[0][0].weight

    assert torch.equal(trained(0), trained(0))
    assert not torch.equal(trained(0), trained(1))


def test_batches_reach_what_the_whole_reaches(blobs):
    whole = train_base(mlp((4, 3)), blobs, epochs=300)
    batches = train_base(mlp((4, 3)), blobs, epochs=300, learning_rate=2e-3, batch_size=16)
    assert training_loss(batches, blobs) == pytest.approx(training_loss(whole, blobs), rel=0.02)


def test_weight_decay_shrinks_the_weights(blobs):
    free, held = (train_base(mlp((4, 3)), blobs, weight_decay=decay)[0].weight for decay in (0.0, 1.0))
    assert held.norm() < 0.9 * free.norm()


def test_training_ends_at_the_target_loss_and_says_so(blobs):
    told = []
    model = train_base(mlp((4, 3)), blobs, epochs=500, target_loss=0.74, report=lambda *a, **_: told.append(a[:2]))
    assert 5 < len(told) < 400
    assert told[0] == (1, 500)
    assert told[-1] == (500, 500)
    assert training_loss(model, blobs) <= 0.74


def test_a_loss_that_is_not_finite_ends_training_with_the_epoch(blobs):
    inputs = blobs.inputs.copy()
    inputs[3, 1] = np.nan
    with pytest.raises(InputError, match="training, epoch 1: found a loss of nan"):
        train_base(mlp((4, 3)), replace(blobs, inputs=inputs))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
    ],
)
def test_training_refuses_senseless_settings(blobs, place, value):
    with pytest.raises(InputError) as caught:
        train_base(mlp((4, 3)), blobs, **{place: value})
    assert caught.value.place == place
