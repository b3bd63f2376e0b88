"""Free answers: each query has a reference of its own, how probable it is, and whether the answer given is right."""

import dataclasses

import numpy as np
import pytest
import torch
from small_language_model import tiny_model

from kernelsm import InputError, Store
from kernelsm.prompts.answer_rules import AnswerRule
from kernelsm.prompts.asked import answer_tokens, measure_answers
from kernelsm.prompts.asker import Asker, LocalAsker
from kernelsm.prompts.prompting import Prompting
from kernelsm.prompts.task import Labelled, PromptTask, PromptTemplate

WORDS = ["a good film", "a bad book", "long", "good and bad", "a film"]
SHOWN = tuple(Labelled(word, str(number * 7)) for number, word in enumerate(WORDS))
ASKED = (Labelled("a book", "7"), Labelled("bad film", "1,234.0"), Labelled("good", "21"))
TASK = PromptTask(SHOWN, ASKED, ASKED[:1], (), PromptTemplate("Count."), k=2, rule=AnswerRule("number"))
MASKS = np.array([[True, True, False, False, False], [False, True, True, False, False]])


class Scripted(Asker):
    """Says what it is told to, and counts how often."""

    name = "scripted"
    gives_label_probabilities = False

    def __init__(self, answers, likelihoods=True):
        self.said, self.gives_likelihoods, self.asked = answers, likelihoods, []

    def identity(self, *, chat=False):
        return "0" * 40

    def answers(self, prompts, *, max_tokens, stop=()):
        self.asked.append((len(prompts), max_tokens, tuple(stop)))
        return self.said[: len(prompts)]

    def reference_log_likelihoods(self, prompts, references, *, after=""):
        return np.array([-float(len(reference)) for reference in references])


def with_rule(kind, pattern=""):
    return dataclasses.replace(TASK, rule=AnswerRule(kind, pattern))


@pytest.mark.parametrize(
    ("rule", "said", "right"),
    [
        (("number",), ["It is 7.0", "1234", "twenty-one"], [1, 1, 0]),
        (("exact",), ["7", "1,234", "It is 21"], [1, 0, 0]),
        (("contains",), ["It is 7", "1,234.05", "121"], [1, 0, 0]),
        (("regex", r"= (\S+)"), ["3 + 4 = 7", "= 5 = 1,234.0", "21"], [1, 1, 0]),
        (("regex",), ["17", "1x234y0", "12"], [1, 0, 0]),
    ],
)
def test_an_answer_is_right_by_the_rule_of_the_task(rule, said, right):
    asker = Scripted(said)
    loss, accuracy = measure_answers(asker, with_rule(*rule), [0, 1], ASKED)
    np.testing.assert_allclose(accuracy, right)
    np.testing.assert_allclose(loss, [1, 7, 2])
    ((count, _, stop),) = asker.asked
    assert (count, stop) == (3, ("\n\n", "\nText:"))


def test_a_rule_without_answers_asks_for_none():
    asker = Scripted(["7"] * 3)
    loss, accuracy = measure_answers(asker, with_rule("loss"), [0], ASKED)
    assert asker.asked == []
    np.testing.assert_allclose(accuracy, np.exp(-loss))
    with pytest.raises(InputError, match="gives no likelihoods"):
        measure_answers(Scripted(["7"] * 3, likelihoods=False), with_rule("loss"), [0], ASKED)


def test_an_asker_without_likelihoods_is_graded():
    asker = Scripted(["7", "8", "21"], likelihoods=False)
    found = measure_answers(asker, TASK, [0], ASKED)
    np.testing.assert_allclose(found, [[0, 1, 0], [1, 0, 1]])
    prompting = Prompting(TASK, asker, orders=1)
    assert [measure.unit for measure in prompting.measures] == ["wrong answers", "fraction"]


def test_the_loss_is_that_of_the_whole_text_read_alone():
    model = tiny_model()
    loss, _ = measure_answers(LocalAsker(model), TASK, [2, 0], ASKED)
    for query, found in zip(ASKED, loss, strict=True):
        prompt = TASK.template.prompt([SHOWN[2], SHOWN[0]], query)
        (bare,), (whole,) = model.encode([prompt]), model.encode([f"{prompt} {query.label}\n\nText:"])
        start = next((i for i, pair in enumerate(zip(bare, whole, strict=False)) if pair[0] != pair[1]), len(bare))
        with torch.no_grad():
            logits = model.network(input_ids=torch.tensor([whole])).logits[0].double()
        steps = torch.log_softmax(logits[:-1], dim=-1)[range(len(whole) - 1), whole[1:]]
        assert found == pytest.approx(-float(steps[start - 1 :].sum()), abs=1e-4)


def test_outcomes_have_loss_and_accuracy_and_are_kept(tmp_path):
    model, store = tiny_model(), Store(tmp_path)
    prompting = Prompting(TASK, model, orders=2)
    loss = prompting.outcomes(MASKS, store=store)
    assert (loss.values.shape, loss.meta["unit"], loss.higher_is_better) == ((2, 3), "nats per answer", False)
    assert (loss.values > 0).all()
    accuracy = Prompting(TASK, model, orders=2).outcomes(MASKS, measure="accuracy", store=store)
    assert set(np.unique(accuracy.values)) <= {0.0, 0.5, 1.0}
    np.testing.assert_allclose(prompting.by_order(MASKS, store=store)[1].reshape(2, 2, 3).mean(axis=1), loss.values)


def test_reasoning_stands_before_the_answer_and_leaves_room_for_it():
    shown = (Labelled("2+2", "4", reasoning="Two and two."), Labelled("3+3", "6", reasoning="Three, twice."))
    template = PromptTemplate("", "Q: {text}\nA: {reasoning} So {label}.\n\n", "Q: {text}\nA:")
    task = PromptTask(shown, ASKED, (), (), template, k=1, rule=AnswerRule("number"))
    assert template.head(shown[:1]) == "Q: 2+2\nA: Two and two. So 4.\n\n"
    assert (template.after_label, template.stops) == (".", (".\n\n", "\nQ:"))
    bare = dataclasses.replace(task, candidates=tuple(Labelled(one.text, one.label) for one in shown))
    asker = LocalAsker(tiny_model())
    assert answer_tokens(asker, task) > answer_tokens(asker, bare)
    assert task.content_hash != bare.content_hash
    assert PromptTask.from_dict(task.to_dict()).content_hash == task.content_hash


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused_before_anything_is_asked():
    model = tiny_model()
    longest = dataclasses.replace(TASK, candidates=(*SHOWN[:4], Labelled("q z " * 110, "5")))
    model.max_length = 480
    with pytest.raises(InputError, match="in a prompt of") as caught:
        Prompting(longest, model).outcomes(np.array([[True, False, False, False, True]]))
    assert caught.value.place.startswith("candidate 5")


@pytest.mark.parametrize("changes", [{"labels": ("7", "8")}, {"queries": (Labelled("x", " "),)}, {"rule": None}])
def test_free_tasks_that_cannot_be_are_refused(changes):
    with pytest.raises(InputError):
        dataclasses.replace(TASK, **changes)


def test_a_rule_is_part_of_what_is_asked():
    assert with_rule("exact").content_hash != TASK.content_hash
    assert PromptTask.from_dict(TASK.to_dict()).rule == AnswerRule("number")
