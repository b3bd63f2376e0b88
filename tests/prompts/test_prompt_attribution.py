"""Attribution of demonstrations on embedding gradients: against whole gradients written out, and what is additive."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from small_language_model import tiny_model
from small_prompt_task import CANDIDATES, LABELS, QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.prompts import embedding_gradients
from kernelsm.prompts.attribution import (
    PromptFirstOrder,
    PromptInfluence,
    PromptTracIn,
    PromptTrak,
    check_measure,
)
from kernelsm.prompts.embedding_gradients import PROJECTED, EmbeddingGradients
from kernelsm.prompts.first_order import FirstOrder
from kernelsm.prompts.method_catalog import PROMPT_METHODS
from kernelsm.prompts.method_names import PROMPT_METHOD_NAMES
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime import memory
from kernelsm.runtime.progress import Cancelled

THREE = ("good", "bad", "a film")
MANY = PromptTask(
    tuple(Labelled(one.text, THREE[i % 3]) for i, one in enumerate(CANDIDATES)),
    tuple(Labelled(one.text, THREE[(i + 1) % 3]) for i, one in enumerate(QUERIES)),
    (), THREE, TASK.template, k=3,
)  # fmt: skip
TASKS = pytest.mark.parametrize("task", [TASK, MANY], ids=["two labels", "three labels"])


def made(task, anchors=1, seed=1):
    return EmbeddingGradients(task, tiny_model, anchors=anchors, seed=seed)


def whole(task, seed=1):
    """Losses, probabilities and whole gradients of scores at the one anchor, text by text in double precision.

    Returns scores (n, labels), and their gradients (n, labels, d), of the candidates and of the queries.
    """
    network = tiny_model().network.double()
    embed = network.get_input_embeddings()
    found = []
    for texts in (task.candidates, task.queries):
        first_order = FirstOrder(replace(task, queries=texts), tiny_model(), anchors=1, seed=seed)
        slots, (anchor,) = first_order.slots, first_order.anchors
        scores, slopes = [], []
        for position in range(len(texts)):
            shown = embed(torch.tensor(slots.blocks[list(anchor)].ravel())).detach().clone().requires_grad_()
            head = embed(torch.tensor(slots.head, dtype=torch.int64))
            each = []
            for ending in slots.tails.endings[position]:
                tail = embed(torch.tensor([*slots.tails.prompts[position], *ending]))
                logits = network(inputs_embeds=torch.cat([head, shown, tail])[None]).logits[0].log_softmax(-1)
                end = len(logits) - 1
                at = torch.arange(end - len(ending), end)
                each.append(logits[at, list(ending)].sum())
            scores.append([float(one.detach()) for one in each])
            slopes.append([torch.autograd.grad(one, shown, retain_graph=True)[0].flatten().numpy() for one in each])
        found.append((np.array(scores), np.array(slopes)))
    return found


def loss_gradients(task, scores, slopes, texts):
    """Gradients of the cross-entropies (n, d), and probabilities (n, labels)."""
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    true = np.eye(len(task.labels))[[task.labels.index(text.label) for text in texts]]
    return np.einsum("ny,nyd->nd", p - true, slopes), p


@TASKS
def test_tracin_is_minus_the_products_of_whole_gradients(task):
    own, asked = whole(task)
    g, _ = loss_gradients(task, *own, task.candidates)
    h, _ = loss_gradients(task, *asked, task.queries)
    np.testing.assert_allclose(
        PromptTracIn(made(task)).slopes(), -g @ h.T, rtol=2e-3, atol=1e-5 * np.abs(g @ h.T).max()
    )


@TASKS
def test_influence_is_that_of_the_damped_gauss_newton_matrix(task):
    own, asked = whole(task)
    g, p = loss_gradients(task, *own, task.candidates)
    h, _ = loss_gradients(task, *asked, task.queries)
    K, d = g.shape
    matrix = np.zeros((d, d))
    for slopes, each in zip(own[1], p, strict=True):
        matrix += slopes.T @ (np.diag(each) - np.outer(each, each)) @ slopes / K
    damping = 0.1 * np.trace(matrix) / (K * (len(task.labels) - 1))
    expected = -g @ np.linalg.solve(matrix + damping * np.eye(d), h.T)
    found = PromptInfluence(made(task)).slopes()
    np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3 * np.abs(expected).max())


@TASKS
def test_trak_is_the_published_score_on_projected_margins(task):
    sides = []
    for (scores, slopes), texts in zip(whole(task), (task.candidates, task.queries), strict=True):
        phi, left = [], []
        for each, gradient, text in zip(scores, slopes, texts, strict=True):
            y = task.labels.index(text.label)
            others = [j for j in range(len(each)) if j != y]
            weights = np.exp(each[others] - each[others].max())
            weights /= weights.sum()
            phi.append(gradient[y] - weights @ gradient[others])
            margin = each[y] - np.log(np.exp(each[others]).sum())
            left.append(1 / (1 + np.exp(margin)))
        sides.append((np.array(phi), np.array(left)))
    d, dim = sides[0][0].shape[1], 3
    generator = torch.Generator().manual_seed(0)
    assert d <= embedding_gradients._BLOCK
    mapped = torch.randn((d, PROJECTED), generator=generator).double().numpy()[:, :dim] / np.sqrt(dim)
    (own, left), (asked, remaining) = ((phi @ mapped, rest) for phi, rest in sides)
    scores = asked @ np.linalg.inv(own.T @ own) @ (own * left[:, None]).T
    expected = -(scores * remaining[:, None]).T * len(own)
    found = PromptTrak(made(task), dim=dim, regulariser=0.0).slopes()
    np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-3 * np.abs(expected).max())


@TASKS
def test_first_order_effects_are_the_mean_over_slots_of_the_estimates_of_prompts(task):
    """FirstOrder's tables of label scores, through the slope of the loss at the anchor."""
    (one,) = FirstOrder(task, tiny_model(), anchors=1, seed=1).linearise()
    products = made(task)
    slopes, _ = products.residuals(one.base, task.queries)
    expected = task.k * np.einsum("qy,qyk->kq", slopes, one.table.mean(axis=2))
    found = PromptFirstOrder(products).slopes()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", PROMPT_METHOD_NAMES)
def test_effects_are_contrasts_of_predictions_over_all_prompts_of_the_size(name):
    method = PROMPT_METHODS[name].make(made(MANY, anchors=2))
    masks = np.array([np.isin(range(MANY.K), some) for some in itertools.combinations(range(MANY.K), MANY.k)])
    predicted, effects = method.predict(masks), method.attribute().values
    for k in range(MANY.K):
        contrast = predicted[masks[:, k]].mean(axis=0) - predicted[~masks[:, k]].mean(axis=0)
        np.testing.assert_allclose(effects[k], contrast, atol=1e-9 + 1e-9 * np.abs(predicted).max())
    np.testing.assert_allclose(predicted.mean(axis=0), method.baseline(), atol=1e-8 * (1 + np.abs(predicted).max()))
    np.testing.assert_allclose(method.predict(np.zeros((1, MANY.K), dtype=bool))[0], method.baseline())
    assert method.attribute().values.shape == (MANY.K, len(QUERIES))
    assert method.task_names == made(MANY).task_names
    assert not method.has_pairs


def test_methods_share_what_takes_long_and_a_second_time_asks_the_model_nothing(tmp_path, monkeypatch):
    store, shared = Store(tmp_path), made(TASK, anchors=2)
    steps = []
    PromptTracIn(shared).attribute(store=store, report=lambda done, total, *_, **__: steps.append((done, total)))
    texts = TASK.K + len(TASK.queries)
    assert steps[-1] == (2 * texts, 2 * texts)
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert store.computed == 2
    monkeypatch.setattr(embedding_gradients, "slot_slopes", lambda *_: pytest.fail("the model was asked again"))
    for name in PROMPT_METHOD_NAMES:
        PROMPT_METHODS[name].make(made(TASK, anchors=2)).attribute(store=store)
    assert store.computed == 2
    # the first anchors do not depend on their number
    PromptTrak(made(TASK, anchors=1)).attribute(store=store)
    assert store.computed == 2


def test_a_cancelled_run_keeps_its_anchors(tmp_path):
    store, texts = Store(tmp_path), TASK.K + len(TASK.queries)

    def cancel(done, total, *_, **__):
        if done > texts:
            raise Cancelled

    with pytest.raises(Cancelled):
        PromptTracIn(made(TASK, anchors=2)).attribute(store=store, report=cancel)
    assert store.computed == 1


def test_the_map_is_the_same_in_blocks_of_any_gradient(monkeypatch):
    monkeypatch.setattr(embedding_gradients, "_BLOCK", 7)
    gradients = torch.randn(3, 2, 20, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    found = embedding_gradients._Gaussian(20).times(gradients)
    again = torch.stack([embedding_gradients._Gaussian(20).times(row) for row in gradients])
    torch.testing.assert_close(found, again)
    # products of mapped gradients are near those of the gradients, on average over the 256 coordinates
    exact = gradients.flatten(0, 1) @ gradients.flatten(0, 1).T
    mapped = found.flatten(0, 1) @ found.flatten(0, 1).T / PROJECTED
    assert float((mapped - exact).abs().max() / exact.abs().max()) < 0.4


def test_cost_grows_with_anchors_texts_and_labels_without_loading_a_model():
    def seconds(task, anchors):
        gradients = EmbeddingGradients(task, lambda: pytest.fail("loaded"), anchors=anchors)
        return PromptTracIn(gradients).cost().seconds

    assert seconds(TASK, 4) == pytest.approx(4 * seconds(TASK, 1))
    assert seconds(MANY, 1) > seconds(replace(TASK, k=3), 1)
    assert "s, " in PromptTracIn(made(TASK)).cost().sentence()


def test_too_little_memory_is_said_before_gradients_are_taken(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 10)
    monkeypatch.setattr(embedding_gradients, "slot_slopes", lambda *_: pytest.fail("the model was asked"))
    with pytest.raises(InputError, match="prompt attribution: found gradients of 5 candidates"):
        PromptTracIn(made(TASK)).attribute()


def test_settings_out_of_range_and_other_measures_are_refused():
    for make in (
        lambda: EmbeddingGradients(TASK, tiny_model, anchors=0),
        lambda: PromptInfluence(made(TASK), damping=0.0),
        lambda: PromptTrak(made(TASK), dim=300),
        lambda: check_measure("accuracy"),
        lambda: PromptTracIn(made(TASK)).interactions(),
    ):
        with pytest.raises(InputError):
            make()
    check_measure("loss")
    assert TASK.labels == LABELS
