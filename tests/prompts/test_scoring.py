"""Exact scoring of prompts: as if every prompt were read alone, whatever is shared, padded or batched."""

import importlib.util

import numpy as np
import pytest
import torch
from small_language_model import network, tiny_model, tokenizer

from kernelsm import InputError
from kernelsm.models.language_model import PACKAGE, LanguageModel, load_language_model
from kernelsm.prompts import scoring
from kernelsm.prompts.prompting import score
from kernelsm.prompts.scoring import label_log_probabilities, measure_labels, read_prompts
from kernelsm.prompts.task import Labelled, PromptTask

HEAD = "Text: a good film\nLabel: positive\n\nText: a bad book\nLabel: negative\n\n"
TAILS = ["a good book", "", "bad", "a long and good film, and a bad one", "bad", "x" * 40]
PROMPTS = [f"{HEAD}Text: {tail}\nLabel:" for tail in TAILS]
LABELS = [
    ("positive", "negative"),
    ("good", "bad", "a film", "?"),
    ("science", "sciences of the past", "sport"),
    ("negative", "negotiable", "neither"),
]


def scored(model, prompts, labels):
    return label_log_probabilities(model, read_prompts(model, prompts, labels))


def whole_text(model, prompts, labels):
    """From the likelihood of the whole text, one at a time: what the prompt takes of it cancels."""
    found = np.empty((len(prompts), len(labels)))
    for i, prompt in enumerate(prompts):
        for j, label in enumerate(labels):
            (tokens,) = model.encode([f"{prompt} {label}"])
            with torch.no_grad():
                logits = model.network(input_ids=torch.tensor([tokens])).logits[0].double()
            steps = torch.log_softmax(logits[:-1], dim=-1)[range(len(tokens) - 1), tokens[1:]]
            found[i, j] = steps.sum()
    return torch.log_softmax(torch.from_numpy(found), dim=1).numpy()


@pytest.fixture(scope="module")
def model():
    return tiny_model(start=True)


def distinguishable(labels):
    return [label for label in labels if not label.startswith("sciences")]


@pytest.mark.parametrize("labels", [*map(distinguishable, LABELS)], ids=lambda labels: labels[0])
@pytest.mark.parametrize("kind", ["Llama", "GPT2"])
@pytest.mark.parametrize("start", [True, False])
def test_scores_are_those_of_each_text_read_alone(kind, start, labels):
    model = tiny_model(kind, start=start)
    found = scored(model, PROMPTS, labels)
    np.testing.assert_allclose(found, whole_text(model, PROMPTS, labels), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)


@pytest.mark.parametrize("prompts", [["a", "b c", "good film, bad"], ["Label:"], ["same", "same"], ["ab", "abc"]])
def test_prompts_that_share_nothing_or_everything(prompts):
    model = tiny_model()
    labels = ("good", "bad", "a film")
    np.testing.assert_allclose(
        scored(model, prompts, labels), whole_text(model, prompts, labels), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(("batch", "tokens"), [(1, 8192), (2, 8192), (100, 8192), (16, 1), (16, 200)])
def test_batches_do_not_matter(model, monkeypatch, batch, tokens):
    want = scored(model, PROMPTS, LABELS[1])
    monkeypatch.setattr(scoring, "BATCH", batch)
    monkeypatch.setattr(scoring, "BATCH_TOKENS", tokens)
    np.testing.assert_allclose(scored(model, PROMPTS, LABELS[1]), want, atol=1e-4)
    np.testing.assert_allclose(scored(model, PROMPTS[::-1], LABELS[1])[::-1], want, atol=1e-4)


def test_the_order_of_the_labels_does_not_matter(model):
    one, other = (scored(model, PROMPTS, labels) for labels in (LABELS[1], LABELS[1][::-1]))
    np.testing.assert_allclose(one, other[:, ::-1], atol=1e-4)


def test_what_is_shared_passes_the_network_once(model, monkeypatch):
    seen = []
    forward = model.network.forward

    def counted(**given):
        seen.append(tuple(given["input_ids"].shape))
        return forward(**given)

    monkeypatch.setattr(model.network, "forward", counted)
    tokens = read_prompts(model, PROMPTS, ("positive", "negative"))
    label_log_probabilities(model, tokens)
    head, rest = seen
    assert head[0] == 1
    assert head[1] >= len(model.encode([HEAD])[0]) - 1
    # the last token of a label is asked for, not read
    assert rest == (len(PROMPTS), tokens.lengths().max() - 1 - head[1])


def test_tokens_may_cross_the_seams_of_a_prompt():
    model = tiny_model()
    (apart,), (joined,) = model.encode(["film\n\n"]), model.encode(["film\n\nText"])
    tokens = read_prompts(model, ["film\n\nText", "film\n\n\n"], ("good", "bad"))
    (whole,) = model.encode(["film\n\nText good"])
    assert [*tokens.prompts[0], *tokens.endings[0][0]] == whole
    assert len(apart) < len(joined)


def test_lengths_count_the_longest_label(model):
    tokens = read_prompts(model, PROMPTS, LABELS[1])
    want = [max(len(row) for row in model.encode([f"{prompt} {label}" for label in LABELS[1]])) for prompt in PROMPTS]
    assert tokens.lengths().tolist() == want


def test_a_label_that_begins_another_one_is_refused(model):
    with pytest.raises(InputError, match="'science', whose tokens are the start of those of 'science past'"):
        scored(model, PROMPTS, ("sport", "science past", "science"))


@pytest.mark.parametrize(
    "labels", [("1", "10", "100", "2"), ("a film", "a", "a film, and"), ("new", "new york", "york")]
)
def test_labels_that_begin_others_are_scored_with_what_follows_them(labels):
    model = tiny_model()
    tokens = read_prompts(model, PROMPTS, labels, "\n\n")
    found = label_log_probabilities(model, tokens)
    ended = whole_text(model, PROMPTS, [f"{label}\n\n" for label in labels])
    np.testing.assert_allclose(found, ended, rtol=1e-4, atol=1e-4)


def test_what_follows_changes_nothing_where_labels_can_be_told_apart(model):
    plain, followed = (read_prompts(model, PROMPTS, LABELS[1], after) for after in ("", "\n\n"))
    assert (plain.prompts, plain.endings) == (followed.prompts, followed.endings)


def test_labels_that_what_follows_does_not_tell_apart_are_refused(model):
    with pytest.raises(InputError, match="'good', whose tokens are the start of those of 'good film'"):
        read_prompts(model, PROMPTS, ("good", "good film"), " film")


MANY = tuple(f"{first}{second} {third}" for first in "abcde" for second in "xyz" for third in ("film", "book, bad"))


@pytest.mark.parametrize("kind", ["Llama", "GPT2"])
@pytest.mark.parametrize("shared", [True, False])
def test_many_labels_continue_from_a_prompt_that_is_read_once(kind, shared, monkeypatch):
    model = tiny_model(kind)
    prompts = PROMPTS if shared else ["a", "b c", "good film, bad"]
    want = whole_text(model, prompts, MANY)
    read = []
    logits = model.logits

    def counted(rows, *given):
        read.append(sum(map(len, rows)))
        return logits(rows, *given)

    monkeypatch.setattr(model, "logits", counted)
    np.testing.assert_allclose(scored(model, prompts, MANY), want, rtol=1e-4, atol=1e-4)
    once, read[:] = sum(read), []
    monkeypatch.setattr(scoring, "MANY_PASSES", 10**6)
    np.testing.assert_allclose(scored(model, prompts, MANY), want, rtol=1e-4, atol=1e-4)
    assert once < sum(read) or not shared


def test_two_hundred_labels_are_read_in_parts_and_scored_in_batches(model, monkeypatch):
    labels = tuple(f"{a}{b}{c}" for a in "abcdef" for b in "ghijklm" for c in "nopqr")[:200]
    monkeypatch.setattr(scoring, "_ROWS_AT_ONCE", 450)
    encoded = []
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda texts: encoded.append(len(texts)) or encode(texts))
    tokens = read_prompts(model, PROMPTS, labels)
    assert max(encoded) == 400
    found = label_log_probabilities(model, tokens)
    assert found.shape == (len(PROMPTS), 200)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)


def test_labels_with_the_same_first_token_are_told_apart_by_later_ones(model):
    (row,) = read_prompts(model, PROMPTS[:1], ("xxa", "xxb")).endings
    assert row[0] != row[1]
    found = scored(model, PROMPTS, ("xxa", "xxb"))
    np.testing.assert_allclose(found, whole_text(model, PROMPTS, ("xxa", "xxb")), rtol=1e-4, atol=1e-4)


def test_a_prompt_without_a_token_is_refused():
    with pytest.raises(InputError, match="no token before the label"):
        scored(tiny_model(), [" x", ""], ("good", "bad"))


def test_weights_that_are_not_finite_are_refused():
    broken = LanguageModel(network(), tokenizer(), "broken")
    with torch.no_grad():
        broken.network.lm_head.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="broken"):
        scored(broken, PROMPTS, LABELS[0])


@pytest.mark.parametrize("labels", [2, 5])
def test_measures_are_those_of_the_probabilities(labels):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(labels), size=9)
    true = rng.integers(0, labels, 9)
    loss, right, margin = measure_labels(np.log(p), true)
    own = p[range(9), true]
    np.testing.assert_allclose(loss, -np.log(own))
    np.testing.assert_array_equal(right, p.argmax(axis=1) == true)
    np.testing.assert_allclose(margin, np.log(own / (1 - own)))


def test_a_tie_is_not_right_and_extreme_scores_stay_finite():
    found = measure_labels(np.log([[0.5, 0.5]]), np.array([0]))
    np.testing.assert_allclose(found[:, 0], [np.log(2), 0, 0], atol=1e-9)
    loss, right, margin = measure_labels(np.array([[0.0, -800.0], [0.0, -800.0]]), np.array([0, 1]))
    np.testing.assert_allclose(loss, [0, 800])
    np.testing.assert_array_equal(right, [1, 0])
    np.testing.assert_allclose(margin, [800, -800])


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason="its package is not installed")
@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="the reader of its file is not installed")
@pytest.mark.timeout(600)  # unpacks 135 million weights: 40 s of one core, more where others work beside it
def test_the_default_model_reads_demonstrations():
    model = load_language_model()
    task = PromptTask(
        (Labelled("a wonderful, moving film", "positive"), Labelled("dull, and far too long", "negative")),
        (
            Labelled("one of the best films of the year", "positive"),
            Labelled("a complete waste of time", "negative"),
            Labelled("I loved every minute of it", "positive"), Labelled("boring and badly acted", "negative"),
        ),
        (), ("negative", "positive"), k=2,
    )  # fmt: skip
    prompts = [task.template.prompt(task.candidates, query) for query in task.queries]
    found = score(model, task, [0, 1], task.queries)
    np.testing.assert_allclose(found, whole_text(model, prompts, task.labels), rtol=1e-4, atol=1e-4)
    turned = score(model, task, [1, 0], task.queries)
    assert [task.labels[i] for i in turned.argmax(axis=1)] == [query.label for query in task.queries]
    assert np.abs(found - turned).max() > 0.3  # the order of two demonstrations
