"""First-order scoring of prompts: true derivatives, exact at the anchors, slots that align, anchors found again."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from small_language_model import tiny_model
from small_prompt_task import CANDIDATES, LABELS, QUERIES, TASK

from kernelsm import InputError, Store
from kernelsm.prompts import slot_gradients
from kernelsm.prompts.first_order import FirstOrder, nearest
from kernelsm.prompts.first_order_check import prompt_first_order_check
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.scoring import label_log_probabilities, measure_labels
from kernelsm.prompts.slot_gradients import AnchorLinearisation, filling
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate
from kernelsm.runtime.progress import Cancelled

WORDS = ("good", "bad", "a film", "xxa", "xxb")
MANY = PromptTask(
    tuple(Labelled(one.text, WORDS[i]) for i, one in enumerate(CANDIDATES)),
    tuple(Labelled(one.text, WORDS[-1 - i]) for i, one in enumerate(QUERIES)),
    (), WORDS, TASK.template, k=3,
)  # fmt: skip
PAIRS = np.array([np.isin(range(5), pair) for pair in itertools.combinations(range(5), 2)])


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def padded(first_order, order):
    """Exact log-probabilities of a prompt whose slots are filled up."""
    return label_log_probabilities(first_order.model, first_order.slots.prompts(order))


@pytest.mark.parametrize("task", [TASK, MANY], ids=["two labels", "labels of several tokens"])
@pytest.mark.parametrize("kind", ["Llama", "GPT2"])
@pytest.mark.parametrize("start", [True, False])
def test_an_anchor_has_the_exact_scores_of_its_slots(kind, start, task):
    first_order = FirstOrder(task, tiny_model(kind, start=start), anchors=2, seed=3)
    for one in first_order.linearise():
        np.testing.assert_allclose(
            one.log_probabilities(one.anchor), padded(first_order, one.anchor), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("task", [TASK, MANY], ids=["two labels", "labels of several tokens"])
@pytest.mark.parametrize("kind", ["Llama", "GPT2"])
def test_changes_are_derivatives_on_the_way_to_another_candidate(kind, task):
    """Against central differences of whole texts, read one at a time in double precision."""
    model = tiny_model(kind, start=True)
    first_order = FirstOrder(task, model, anchors=1, seed=1)
    (one,) = first_order.linearise()
    slots, k = first_order.slots, task.k
    network = tiny_model(kind, start=True).network.double()
    embed = network.get_input_embeddings()
    length = slots.blocks.shape[1]
    shown = slots.blocks[list(one.anchor)]

    def scores(query, slot, candidate, step):
        found = []
        for ending in slots.tails.endings[query]:
            row = [*slots.head, *shown.ravel(), *slots.tails.prompts[query], *ending]
            inputs = embed(torch.tensor([row])).clone()
            place = len(slots.head) + slot * length
            there = embed(torch.tensor(slots.blocks[candidate]))
            inputs[0, place : place + length] += step * (there - inputs[0, place : place + length])
            logits = torch.log_softmax(network(inputs_embeds=inputs).logits[0], dim=-1)
            at = torch.arange(len(row) - len(ending) - 1, len(row) - 1)
            found.append(float(logits[at, list(ending)].sum()))
        return np.array(found[1:]) - found[0]

    with torch.no_grad():
        for query, slot, candidate in itertools.product((0, 1), range(k), (0, 4)):
            ends = [scores(query, slot, candidate, step) for step in (1e-3, -1e-3)]
            found = one.table[query, :, slot, candidate] - one.table[query, :, slot, one.anchor[slot]]
            np.testing.assert_allclose(found, (ends[0] - ends[1]) / 2e-3, rtol=5e-3, atol=2e-3)


def test_the_error_shrinks_with_the_square_of_the_distance():
    errors = []
    for distance in (1e-2, 1e-3):
        model = tiny_model()
        (q,), (z,) = model.encode(["q", "z"])
        weights = model.network.get_input_embeddings().weight
        step = torch.randn(weights.shape[1], generator=torch.Generator().manual_seed(0))
        weights[z] = weights[q] + distance * step
        task = PromptTask((Labelled("q", LABELS[0]), Labelled("z", LABELS[0])), QUERIES, (), LABELS, k=1)
        first_order = FirstOrder(task, model, anchors=1)
        (one,) = first_order.linearise()
        other = (1 - one.anchor[0],)
        exact, at_anchor = padded(first_order, other), padded(first_order, one.anchor)
        errors.append(np.abs(one.log_probabilities(other) - exact).max())
        assert errors[-1] < 0.2 * np.abs(exact - at_anchor).max()
    assert errors[1] < 0.05 * errors[0] + 1e-6


def test_a_tokenizer_without_a_mark_of_the_end_fills_with_what_demonstrations_end_with():
    model = tiny_model()
    assert filling(model, [[5, 6], [7, 8], [9, 8]]) == 1
    model.tokenizer.eos_token = None
    assert filling(model, [[5, 6], [7, 8], [9, 8]]) == 8


@pytest.mark.parametrize("start", [True, False])
def test_slots_hold_the_blocks_of_the_candidates_filled_up_in_front(start):
    model = tiny_model(start=start)
    slots = FirstOrder(TASK, model, anchors=1).slots
    marks = len(model.encode([""])[0])
    rows = [
        model.encode([TASK.template.demonstration.format(text=one.text, label=one.label)])[0][marks:]
        for one in CANDIDATES
    ]
    assert slots.blocks.shape == (5, max(map(len, rows)))
    for block, row in zip(slots.blocks.tolist(), rows, strict=True):
        assert block[len(block) - len(row) :] == row
        assert {*block[: len(block) - len(row)]} <= {1}  # the mark of the end
    whole = slots.prompts((3, 0))
    length = len(slots.head) + 2 * slots.blocks.shape[1]
    for prompt, query in zip(whole.prompts, QUERIES, strict=True):
        assert prompt[:length] == (*slots.head, *slots.blocks[3].tolist(), *slots.blocks[0].tolist())
        assert model.tokenizer.decode(prompt[length:]) == TASK.template.tail(query)
    assert model.tokenizer.decode(slots.head).endswith("Judge.\n\n")


def test_the_order_of_the_candidates_counts(model):
    (one,) = FirstOrder(TASK, model, anchors=1).linearise()
    assert np.abs(one.log_probabilities((3, 0)) - one.log_probabilities((0, 3))).max() > 1e-3


def test_equal_lengths_take_no_filling_and_the_anchor_is_exact():
    pair = tuple(Labelled(text, LABELS[0]) for text in ("q", "z"))
    # no merge of the tokenizer crosses these seams
    task = PromptTask(pair, QUERIES, (), LABELS, PromptTemplate("", "{text}~{label}~", "{text}~"), k=2)
    model = tiny_model()
    first_order = FirstOrder(task, model, anchors=2)
    assert len(first_order.anchors) == 2  # both orders: every prompt is an anchor
    masks = np.ones((1, 2), dtype=bool)
    found, exact = first_order.outcomes(masks), Prompting(task, model).outcomes(masks)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-4)
    np.testing.assert_allclose(found.meta["order_spread"], exact.meta["order_spread"], atol=1e-4)


@pytest.mark.parametrize("k", [1, 5])
def test_one_demonstration_and_all_of_them(model, k):
    first_order = FirstOrder(dataclasses.replace(TASK, k=k), model, anchors=3, orders=4)
    masks = np.eye(5, dtype=bool) if k == 1 else np.ones((1, 5), dtype=bool)
    found = first_order.outcomes(masks)
    assert found.values.shape == (len(masks), 4)
    for anchor in first_order.anchors if k == 1 else ():
        want = measure_labels(padded(first_order, anchor), np.array([LABELS.index(q.label) for q in QUERIES]))[0]
        np.testing.assert_allclose(found.values[anchor[0]], want, atol=1e-4)


def test_estimates_are_means_over_the_orders_of_prompting(model):
    first_order = FirstOrder(TASK, model, anchors=3, orders=2, seed=4)
    exact = Prompting(TASK, model, orders=2, seed=4)
    linearised = first_order.linearise()
    true = np.array([LABELS.index(query.label) for query in QUERIES])
    for place, measure in enumerate(("loss", "accuracy", "margin")):
        found = first_order.outcomes(PAIRS, measure=measure)
        for row, mask in enumerate(PAIRS):
            want = [
                measure_labels(nearest(order, linearised).log_probabilities(order), true)[place]
                for order in exact.orders_of(mask)
            ]
            np.testing.assert_allclose(found.values[row], np.mean(want, axis=0), atol=1e-4)
        assert found.higher_is_better == (measure != "loss")
    assert found.meta["estimator"] == "first order"
    assert found.meta["anchors"] == [list(anchor) for anchor in first_order.anchors]
    assert found.task_names == exact.outcomes(PAIRS[:1]).task_names


def test_the_mean_of_the_anchors_is_that_of_the_scores(model):
    first_order = FirstOrder(MANY, model, anchors=3, combine="mean")
    masks = np.array([np.isin(range(5), (0, 2, 4))])
    linearised = first_order.linearise()
    true = np.array([WORDS.index(query.label) for query in MANY.queries])
    want = []
    for order in first_order.prompting.orders_of(masks[0]):
        scores = np.mean([one.scores(order) for one in linearised], axis=0)
        odds = np.exp(np.column_stack([np.zeros(len(scores)), scores]))
        want.append(-np.log(odds[range(4), true] / odds.sum(axis=1)))
    found = first_order.outcomes(masks)
    np.testing.assert_allclose(found.values[0], np.mean(want, axis=0), rtol=1e-4)
    assert found.meta["combine"] == "mean"
    one = [FirstOrder(MANY, model, anchors=1, combine=way).outcomes(masks).values for way in ("mean", "nearest")]
    np.testing.assert_allclose(*one, rtol=1e-4)


@pytest.mark.parametrize(
    ("order", "want"),
    [
        ((0, 1, 2), 0), ((3, 1, 0), 1), ((2, 1, 9), 0), ((9, 8, 2), 0), ((7, 8, 9), 0), ((1, 9, 8), 0),
        ((4, 9, 3), 1), ((9, 4, 8), 1), ((2, 0, 1), 0),
    ],
)  # fmt: skip
def test_the_nearest_anchor_shares_slots_then_candidates_then_comes_first(order, want):
    anchors = [(0, 1, 2), (3, 1, 4)]
    found = [AnchorLinearisation(anchor, np.zeros((1, 1)), np.zeros((1, 1, 3, 10))) for anchor in anchors]
    assert nearest(order, found).anchor == anchors[want]


def test_anchors_are_different_and_the_first_ones_stay(model):
    few, many = (FirstOrder(TASK, model, anchors=anchors, seed=2).anchors for anchors in (2, 50))
    assert many[:2] == few
    assert len(many) == len({*many}) == 20  # as many as there are ordered pairs of five
    assert FirstOrder(TASK, model, anchors=2, seed=3).anchors != few


@pytest.mark.parametrize("tokens", [1, 100, 100_000])
def test_batches_do_not_matter(model, monkeypatch, tokens):
    want = FirstOrder(MANY, model, anchors=1).linearise()[0]
    monkeypatch.setattr(slot_gradients, "BATCH_TOKENS", tokens)
    monkeypatch.setattr(slot_gradients, "_FLOATS_AT_ONCE", tokens)
    found = FirstOrder(MANY, model, anchors=1).linearise()[0]
    np.testing.assert_allclose(found.base, want.base, atol=1e-4)
    np.testing.assert_allclose(found.table, want.table, atol=1e-4)


def test_the_network_is_left_as_it_was(model):
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    FirstOrder(TASK, model, anchors=1).linearise()
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in model.network.parameters())


def test_finished_anchors_are_found_again_after_a_stop(model):
    store = Store()
    told = []

    def stop(done, total, message="", *, reused=False):
        told.append((done, total, reused))
        if done > 4:
            raise Cancelled

    first_order = FirstOrder(TASK, model, anchors=3)
    with pytest.raises(Cancelled):
        first_order.outcomes(PAIRS, store=store, report=stop)
    told.clear()
    found = first_order.outcomes(PAIRS, store=store, report=lambda *a, reused: told.append((*a[:2], reused)))
    assert told[0] == (4, 12, True)
    assert told[-1] == (12, 12, False)
    np.testing.assert_allclose(found.values, first_order.outcomes(PAIRS).values, rtol=1e-4, atol=1e-4)
    computed = store.computed
    # neither the measure, nor the orders, nor the seed of equal anchors compute anything again
    first_order.outcomes(PAIRS, measure="margin", store=store)
    FirstOrder(TASK, tiny_model(), anchors=2, orders=1).outcomes(PAIRS, store=store)
    assert store.computed == computed


@pytest.mark.parametrize("change", ["fresh", "task", "model", "anchor"])
def test_what_an_anchor_depends_on_is_in_its_key(model, change):
    store = Store()
    FirstOrder(TASK, model, anchors=1).linearise(store=store)
    task = dataclasses.replace(TASK, queries=QUERIES[::-1]) if change == "task" else TASK
    other = tiny_model(seed=1) if change == "model" else model
    FirstOrder(task, other, anchors=1, fresh=change == "fresh", seed=int(change == "anchor")).linearise(store=store)
    assert store.computed == 2


@pytest.mark.parametrize(
    "masks", [PAIRS[:, :3], PAIRS[0], PAIRS[:0], PAIRS.astype(int), np.eye(5, dtype=bool), np.zeros((2, 5), bool)]
)
def test_other_masks_are_refused(model, masks):
    with pytest.raises(InputError) as caught:
        FirstOrder(TASK, model, anchors=1).outcomes(masks)
    assert caught.value.place == "masks"


@pytest.mark.parametrize(
    "settings",
    [{"anchors": 0}, {"anchors": True}, {"anchors": 1.5}, {"orders": 0}, {"seed": -1}, {"combine": "best"}],
)
def test_other_settings_are_refused(model, settings):
    with pytest.raises(InputError):
        FirstOrder(TASK, model, **settings)


def test_another_measure_is_refused_before_anything_is_computed(model, monkeypatch):
    monkeypatch.setattr(FirstOrder, "linearise", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(InputError, match="measure"):
        FirstOrder(TASK, model).outcomes(PAIRS, measure="f1")


def test_slots_that_are_too_long_together_are_refused_though_each_prompt_may_fit(model):
    long = Labelled("q z " * 60, "positive")
    task = dataclasses.replace(TASK, candidates=(*CANDIDATES[:4], long), k=4)
    Prompting(task, model, orders=1).outcomes(np.array([[1, 1, 1, 0, 1]], dtype=bool))
    with pytest.raises(InputError, match="4 slots of its length") as caught:
        FirstOrder(task, model)
    assert "q z q z" in caught.value.place


def test_gradients_that_are_not_finite_are_refused():
    broken = tiny_model()
    first_order = FirstOrder(TASK, broken, anchors=1)
    broken.network.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        first_order.linearise()


def test_labels_that_the_model_cannot_tell_apart_are_refused(model):
    labels = ("good", "good film")
    shown = (Labelled("a", "good"), Labelled("b", "good film"))
    # what follows a label makes the one the start of the other, too
    template = PromptTemplate(demonstration="{text}: {label} film", query="{text}:")
    task = PromptTask(shown, (Labelled("c", "good"),), (), labels, template, k=1)
    with pytest.raises(InputError, match="whose tokens are the start"):
        FirstOrder(task, model)


def test_the_check_compares_with_exact_outcomes(model):
    exact = Prompting(TASK, model).outcomes(PAIRS)
    found = prompt_first_order_check(exact, FirstOrder(TASK, model, anchors=20).outcomes(PAIRS))
    few = prompt_first_order_check(exact, FirstOrder(TASK, model, anchors=1).outcomes(PAIRS))
    same = prompt_first_order_check(exact, exact)
    assert (found.subsets, found.anchors, few.anchors) == (10, 20, 1)
    assert (same.spearman, same.lds, same.relative_error) == pytest.approx((1, 1, 0), abs=1e-9)
    assert found.lds > few.lds  # every prompt is an anchor: only the filling is left
    assert found.error_of_mean == pytest.approx(few.error_of_mean)
    assert found.error_of_mean > 0
    assert found.to_json()["subsets"] == 10


@pytest.mark.parametrize("change", ["seed", "orders", "measure", "masks", "few"])
def test_tables_that_do_not_belong_together_are_refused(model, change):
    exact = Prompting(TASK, model).outcomes(PAIRS)
    settings = {"seed": {"seed": 1}, "orders": {"orders": 1}}.get(change, {})
    measure = "margin" if change == "measure" else "loss"
    masks = PAIRS[::-1] if change == "masks" else PAIRS[:2] if change == "few" else PAIRS
    found = FirstOrder(TASK, model, anchors=1, **settings).outcomes(masks, measure=measure)
    with pytest.raises(InputError):
        prompt_first_order_check(exact.take([0, 1]) if change == "few" else exact, found)
