"""Next tokens: the network against the model's own logits, gradients, GradEx against a full solve."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from small_language_model import tiny_model

from kernelsm import GradEx, InputError, gradient_features
from kernelsm.evaluation.first_order import logit_error
from kernelsm.models.causal_text import CausalText, causal_text
from kernelsm.models.hashing import model_hash
from kernelsm.objectives.causal_lm import LogProbability, NextTokens, TokenMargin, log_odds
from kernelsm.objectives.registry import find
from kernelsm.objectives.training import train_base
from kernelsm.tasks.text_suite import Passage, text_suite

RIDGE = 0.2
MASKS = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 1]], dtype=bool)
WORDS = ["a good film", "a bad book", "and a long one", "negative", "positive", "Text: a good book"]


def passages(seed, sources, count):
    rng = np.random.default_rng(seed)
    for number in range(count):
        first, second = rng.choice(WORDS, 2)
        yield Passage(f" {second}", sources[number % len(sources)], first if number % 4 else "")


@pytest.fixture(scope="module")
def language_model():
    return tiny_model(start=True)


@pytest.fixture(scope="module")
def suite(language_model):
    train, test = list(passages(0, "abc", 24)), list(passages(1, "ab", 10))
    return text_suite(train, test, language_model.encode, length=24)


@pytest.fixture(scope="module")
def network(language_model, suite):
    model = causal_text(language_model, rank=2)
    return train_base(model, suite, epochs=5, learning_rate=0.02, batch_size=8)


def by_hand(network, row):
    """Mean log-probability of the scored tokens of one row, from all logits."""
    ids = torch.from_numpy(row[0])[None]
    predicted = network.network(input_ids=ids).logits[0, :-1].log_softmax(dim=1)
    found = predicted.gather(1, ids[0, 1:, None])[:, 0]
    return found[torch.from_numpy(row[1, 1:]) > 0].mean()


@pytest.mark.parametrize("kind", ["Llama", "GPT2", "Qwen2", "Mistral"])
def test_the_network_gives_what_all_logits_give(kind):
    model = tiny_model(kind, start=True)
    suite = text_suite(list(passages(0, "abc", 9)), list(passages(1, "a", 3)), model.encode, length=24)
    modules = ("c_attn",) if kind == "GPT2" else ("q_proj", "v_proj")
    if kind == "GPT2":  # its layers are no linear ones
        with pytest.raises(InputError, match="modules"):
            causal_text(model, modules=modules)
        network = CausalText(model.network)
    else:
        network = causal_text(model, modules=modules)
    with torch.no_grad():
        found = network(torch.from_numpy(suite.inputs))[:, 0]
        expected = torch.stack([by_hand(network, row) for row in suite.inputs])
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_only_adapters_are_trained_and_the_model_stays(language_model, suite):
    before = model_hash(language_model.network)
    network = causal_text(language_model, rank=2)
    frozen = {name: p.clone() for name, p in network.named_parameters() if not p.requires_grad}
    first, last = [], []
    for losses in (first, last):
        with torch.no_grad():
            losses.append(float(-network(torch.from_numpy(suite.inputs)).mean()))
        train_base(network, suite, epochs=15, learning_rate=0.05, batch_size=8)
    assert last[0] < 0.95 * first[0]
    assert all(torch.equal(dict(network.named_parameters())[name], value) for name, value in frozen.items())
    assert all(p.grad is None for p in network.parameters() if not p.requires_grad)
    assert model_hash(language_model.network) == before


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Mistral"])
def test_lower_layers_without_adapters_are_run_once_for_a_text_and_change_nothing(kind, suite):
    model = tiny_model(kind, start=True)
    network = causal_text(model, rank=2, layers=1)
    assert all(".layers.1." in name for name, p in network.named_parameters() if p.requires_grad)
    x = torch.from_numpy(suite.inputs)
    with torch.no_grad():
        for p in network.parameters():
            if p.requires_grad:
                p.normal_()
        expected = torch.stack([by_hand(network, row) for row in suite.inputs])
        found = network(x)[:, 0]
        again = copy.deepcopy(network)
        (lower, *_), ran = again._parts, []
        lower.forward = lambda **_: ran.append(1)  # what is known is not computed again, whatever stands beside it
        others = torch.cat([again(x[rows]) for rows in torch.arange(len(x)).flip(0).split(5)])[:, 0].flip(0)
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert others.numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert not ran


@pytest.mark.parametrize("layers", [None, 1])
def test_a_small_change_of_the_adapters_is_one_of_first_order(language_model, suite, layers):
    base = causal_text(language_model, rank=2, layers=layers)
    errors = []
    for scale in (0.001, 0.01):
        tuned = copy.deepcopy(base)
        noise = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for p in tuned.parameters():
                if p.requires_grad:
                    p.add_(scale * torch.randn(p.shape, generator=noise))
        errors.append(logit_error(base, tuned, suite.test_inputs).of_change)
    assert errors[0] < 0.05
    assert errors[1] > 4 * errors[0]


@pytest.mark.parametrize("layers", [0, 3])
def test_layers_that_are_not_there_are_refused(language_model, layers):
    with pytest.raises(InputError, match="layers"):
        causal_text(language_model, layers=layers)


def test_a_network_of_other_parts_gets_adapters_in_all_layers_or_none():
    with pytest.raises(InputError, match=r"(?s)layers.*all layers"):
        causal_text(tiny_model("GPT2"), modules=("lm_head",), layers=1)


@pytest.mark.parametrize("linearisation", ["margin", "log-probability"])
@pytest.mark.parametrize("layers", [None, 1])
def test_gradients_equal_autograd(network, language_model, suite, linearisation, layers):
    if layers:
        network = causal_text(language_model, rank=2, layers=layers)
        network = train_base(network, suite, epochs=2, learning_rate=0.02, batch_size=8)
    features = gradient_features(
        network, suite.test_inputs, suite.test_labels, "exact", outputs=linearisation, objective=find(suite),
        batch_size=4,
    )  # fmt: skip
    assert features.meta["engine"] == "hooks"
    trained = [p for p in network.parameters() if p.requires_grad]
    for row, found in zip(suite.test_inputs, features.features, strict=True):
        value = by_hand(network, row)
        number = log_odds(value) if linearisation == "margin" else value
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(number, trained)]).numpy()
        assert np.abs(found[0] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_gradex_equals_a_full_solve(network, suite):
    train, test = (
        gradient_features(network, inputs, labels, "exact", objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    found = GradEx(suite, train, test, ridge=RIDGE, tolerance=1e-7).outcomes(MASKS).values

    def margins(features):
        p = np.exp(features.model_outputs[:, 0].astype(float))
        return np.log(p) - np.log1p(-p), features.features[:, 0].astype(float)

    (u, G), (v, H) = margins(train), margins(test)
    for mask, values in zip(MASKS, found, strict=True):
        w = suite.sample_weights(mask[None])[0].astype(float)

        def value(z, w=w):
            at = u + G @ z
            return w @ np.logaddexp(0, -at) + RIDGE / 2 * z @ z, G.T @ (-w / (1 + np.exp(at))) + RIDGE * z

        precise = {"gtol": 1e-11, "ftol": 0, "maxiter": 10**5, "maxfun": 10**6}
        z = minimize(value, np.zeros(G.shape[1]), jac=True, method="L-BFGS-B", options=precise).x
        losses = np.logaddexp(0, -(v + H @ z))
        expected = [losses[suite.target_of == j].mean() for j in range(2)]
        assert values == pytest.approx(expected, rel=1e-5)


def test_gradex_of_log_probabilities_is_one_step(network, suite):
    train, test = (
        gradient_features(network, inputs, labels, "exact", outputs="log-probability", objective=find(suite))
        for inputs, labels in ((suite.inputs, suite.labels), (suite.test_inputs, suite.test_labels))
    )
    found = GradEx(suite, train, test, ridge=RIDGE).outcomes(MASKS).values
    G, H = train.features[:, 0].astype(float), test.features[:, 0].astype(float)
    steps = suite.sample_weights(MASKS).astype(float) @ G / RIDGE
    losses = -(test.model_outputs[:, 0] + steps @ H.T)
    expected = np.array([losses[:, suite.target_of == j].mean(axis=1) for j in range(2)]).T
    assert found == pytest.approx(expected, rel=1e-5)


def test_measures_of_both_linearisations_agree():
    objective, outputs = NextTokens(1), -torch.rand(3, 8, 1).double() * 4
    labels, groups = torch.ones(8, dtype=torch.int64), torch.arange(8) % 2
    found = {}
    for each in (TokenMargin(), LogProbability()):
        numbers = each.offsets(outputs, labels).permute(2, 1, 0)
        found[each.name] = objective.measure(numbers, labels, groups, 2, each).numpy()
    assert found["margin"] == pytest.approx(found["log-probability"], rel=1e-9)
    losses = -outputs[..., 0].numpy()
    assert found["margin"][:, 0, 1] == pytest.approx(losses[:, 1::2].mean(axis=1))
    assert found["margin"][:, 1] == pytest.approx(np.exp(found["margin"][:, 0]))


def test_the_certain_and_the_impossible_stay_finite():
    for value in (0.0, -1e-12, -80.0, -1e4):
        number = torch.tensor(value, requires_grad=True)
        margin = log_odds(number)
        margin.backward()
        assert torch.isfinite(margin)
        assert torch.isfinite(number.grad)


def test_passages_are_cut_as_said(language_model):
    prompt, answer = "a good film " * 9, " positive" * 12
    start, *words = language_model.encode([prompt])[0]
    whole = language_model.encode([answer])[0][1:]
    suite = text_suite([Passage(answer, "a", prompt)], [Passage("negative", "a", prompt)], language_model.encode,
                       length=20)  # fmt: skip
    kept = suite.inputs[0, 0].tolist()
    assert kept == [start, *words[-9:], *whole[:10]]
    assert suite.inputs[0, 1].tolist() == [0] * 10 + [1] * 10
    assert suite.labels.tolist() == [10]
    assert suite.meta["cut"] == {"train": 1, "test": 1}
    short = suite.test_inputs[0]
    tail = language_model.encode(["negative"])[0][1:]
    assert short[0].tolist() == [start, *words[len(words) - (19 - len(tail)) :], *tail]
    assert short[1].sum() == len(tail)


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (lambda m: text_suite([], [Passage("b", "s")], m.encode), "train"),
        (lambda m: text_suite([Passage("a b", "s")], [], m.encode), "test"),
        (lambda m: text_suite([Passage("a b", "s"), Passage("", "s", "x")], [Passage("a", "s")], m.encode),
         "train, passage 2"),
        (lambda m: text_suite([Passage("a b", "s")], [Passage("a", "s")], m.encode, length=2), "length"),
        (lambda m: causal_text(m, rank=0), "rank"),
        (lambda m: causal_text(m, modules=("nothing",)), "modules"),
        (lambda m: NextTokens(2), "outputs"),
        (lambda m: NextTokens(1).check_labels(np.array([1, 0]), "labels"), "labels, row 1"),
        (lambda m: NextTokens(1).check_labels(np.array([0.5]), "labels"), "labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named(language_model, made, place):
    with pytest.raises(InputError) as refused:
        made(language_model)
    assert str(refused.value).startswith(place)
