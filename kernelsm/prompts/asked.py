"""What is measured of queries that an asker is asked after some demonstrations, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.language_model import LanguageModel
from kernelsm.objectives.classification import Classification
from kernelsm.objectives.objective import Measure
from kernelsm.prompts import calibration
from kernelsm.prompts.asker import Asker, Prompt, PromptTooLongError, as_asker
from kernelsm.prompts.calibration import check_label_probabilities, content_free_queries
from kernelsm.prompts.conversations import prompts_of
from kernelsm.prompts.label_tokens import label_in
from kernelsm.prompts.scoring import measure_labels
from kernelsm.prompts.task import Labelled, PromptTask
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.executors import InProcess, using

MEASURES = Classification.measures
"""Of the label words, which are the classes; see `measure_labels`."""
GRADED_MEASURES = (
    Measure("loss", "wrong answers", higher_is_better=False),
    Measure("accuracy", "fraction", higher_is_better=True),
)
"""Of an asker that gives answers only: each is right or wrong."""
FREE_MEASURES = (
    Measure("loss", "nats per answer", higher_is_better=False),
    Measure("accuracy", "fraction", higher_is_better=True),
)
"""Of free answers: minus the log-likelihood of the reference, and whether the answer is right by the task's rule."""
SHOWN_LETTERS = 60
MOST_ANSWER_TOKENS = 512
_ANSWER_TOKENS = 24  # in which a label word is looked for


def measures_of(asker: Asker, task: PromptTask | None = None) -> Sequence[Measure]:
    """Return what `measured` measures of each query, in order."""
    if task is not None and task.free:
        return FREE_MEASURES if asker.gives_likelihoods else GRADED_MEASURES
    return MEASURES if asker.gives_label_probabilities else GRADED_MEASURES


def measured(
    asker: Asker,
    task: PromptTask,
    demonstrations: Sequence[int],
    queries: Sequence[Labelled],
    *,
    calibrated: bool = False,
) -> NDArray[np.float64]:
    """Ask about queries after some demonstrations, and measure each.

    Parameters
    ----------
    asker, task, demonstrations, queries
        As of `score`.
    calibrated : bool
        Take what the model leans to after these demonstrations off the log-probabilities of label words first; see
        `calibrated` in `kernelsm.prompts.calibration`.

    Returns
    -------
    ndarray, shape (measures, q)
        Those of `measures_of`: by the log-probabilities of label words, see `measure_labels`; else by which label
        word an answer gives, see `label_in`. Of free answers see `measure_answers`.

    Raises
    ------
    InputError
        As `score`; `calibrated` without probabilities of label words.
    """
    if calibrated:
        scores, content_free = score_with_content_free(asker, task, demonstrations, queries)
        return measure_labels(calibration.calibrated(scores, content_free), true_labels(task, queries))
    return measured_each(asker, task, [demonstrations] * len(queries), queries)


def measured_each(
    asker: Asker, task: PromptTask, prompts_shown: Sequence[Sequence[int]], queries: Sequence[Labelled]
) -> NDArray[np.float64]:
    """Ask about queries, each after demonstrations of its own, and measure each.

    Parameters
    ----------
    asker, task, queries
        As of `score`.
    prompts_shown : sequence of sequences of int, length q
        Candidates before each query, in their order.

    Returns
    -------
    ndarray, shape (measures, q)
        As `measured`.

    Raises
    ------
    InputError
        As `score`, or as `measure_answers`.
    """
    if task.free:
        return _answers_each(asker, task, prompts_shown, queries)
    true = true_labels(task, queries)
    if asker.gives_label_probabilities:
        return measure_labels(_score_each(asker, task, prompts_shown, queries), true)
    prompts = _checked_each(task, prompts_shown, queries)
    found = asker.answers(prompts, max_tokens=_ANSWER_TOKENS, stop=() if task.template.chat else ("\n\n",))
    right = np.array([label_in(answer, task.labels) == label for answer, label in zip(found, true, strict=True)])
    return np.stack([~right, right]).astype(np.float64)


def true_labels(task: PromptTask, queries: Sequence[Labelled]) -> NDArray[np.int64]:
    """Return which label word is right for each query, shape (q,)."""
    return np.array([task.labels.index(query.label) for query in queries], dtype=np.int64)


def measure_answers(
    asker: Asker, task: PromptTask, demonstrations: Sequence[int], queries: Sequence[Labelled]
) -> NDArray[np.float64]:
    """Measure free answers to queries after some demonstrations.

    Parameters
    ----------
    asker, task, demonstrations, queries
        As of `score`; `task.free` is true.

    Returns
    -------
    ndarray, shape (2, q)
        The loss is minus the log-likelihood in nats of the whole reference, up to what follows an answer in the
        demonstrations; for an asker that gives no likelihoods, 1 for a wrong answer. The accuracy is 1 where the
        greedy answer is right by the task's rule; for the rule "loss", which asks for no answer, it is the
        probability that an answer drawn from the model is the reference.

    Raises
    ------
    InputError
        As `score`; the rule "loss" for an asker that gives no likelihoods, or a rule that fails on an answer.
    """
    return _answers_each(asker, task, [demonstrations] * len(queries), queries)


def _answers_each(
    asker: Asker, task: PromptTask, prompts_shown: Sequence[Sequence[int]], queries: Sequence[Labelled]
) -> NDArray[np.float64]:
    assert task.rule is not None
    prompts = _checked_each(task, prompts_shown, queries)
    references = [query.label for query in queries]
    right, loss = None, None
    try:
        if asker.gives_likelihoods:
            loss = -asker.reference_log_likelihoods(prompts, references, after=task.template.after_label)
        if task.rule.needs_answers:
            stops = () if task.template.chat else task.template.stops
            answers = asker.answers(prompts, max_tokens=answer_tokens(asker, task), stop=stops)
            right = np.array([task.rule.right(*pair) for pair in zip(answers, references, strict=True)], dtype=float)
    except PromptTooLongError as error:
        raise in_words_of_the_task(error, asker, task, prompts_shown[error.position], queries) from None
    if right is None:
        if loss is None:
            fix = "Choose a rule that judges answers, such as an exact match."
            raise InputError("rule", "loss", f"a rule for answers: {asker.name!r} gives no likelihoods", fix)
        return np.stack([loss, np.exp(-loss)])
    return np.stack([1 - right if loss is None else loss, right])


def answer_tokens(asker: Asker, task: PromptTask) -> int:
    """Return how many tokens a free answer may have: twice those of the longest reference, and a few."""
    written = [f"{one.reasoning} {one.label}".strip() for one in (*task.candidates, *task.queries, *task.fresh)]
    return min(MOST_ANSWER_TOKENS, 8 + 2 * int(asker.sizes(written).max()))


@contextmanager
def asked_where_it_works(asker: Asker) -> Iterator[None]:
    """Leave chunks of work to the executor in use, or keep them in this process where an endpoint does the work."""
    if asker.works_here:
        yield
        return
    with using(InProcess(threads=1)):
        yield


def score(
    model: LanguageModel | Asker, task: PromptTask, demonstrations: Sequence[int], queries: Sequence[Labelled]
) -> NDArray[np.float64]:
    """Ask a language model about queries, with some demonstrations in the prompt.

    Parameters
    ----------
    model : LanguageModel or Asker
    task : PromptTask
    demonstrations : sequence of int
        Indices of candidates, in the order in which they stand in the prompt; may be empty.
    queries : sequence of Labelled
        At least one; their labels are not looked at.

    Returns
    -------
    ndarray, shape (q, labels)
        Log-probability in nats of each label word, normalised over the label words.

    Raises
    ------
    InputError
        A candidate that there is not, no query, label words that the model cannot tell apart, or a prompt that is
        longer than the model can read; the longest candidate in it is named.
    """
    return _score_each(as_asker(model), task, [demonstrations] * len(queries), queries)


def _score_each(
    asker: Asker, task: PromptTask, prompts_shown: Sequence[Sequence[int]], queries: Sequence[Labelled]
) -> NDArray[np.float64]:
    prompts = _checked_each(task, prompts_shown, queries)
    try:
        return asker.label_log_probabilities(prompts, task.labels, after=task.template.after_label)
    except PromptTooLongError as error:
        raise in_words_of_the_task(error, asker, task, prompts_shown[error.position], queries) from None


def score_with_content_free(
    model: LanguageModel | Asker, task: PromptTask, demonstrations: Sequence[int], queries: Sequence[Labelled]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ask about queries and, after the same demonstrations, about content-free ones: what `calibrated` needs.

    Parameters
    ----------
    model, task, demonstrations, queries
        As of `score`.

    Returns
    -------
    log_probabilities : ndarray, shape (q, labels)
        Of the queries, as `score` returns them.
    content_free : ndarray, shape (c, labels)
        Of the `askable_content_free`.

    Raises
    ------
    InputError
        As `score`; free answers, or an asker without probabilities of label words.
    """
    asker = as_asker(model)
    more = askable_content_free(asker, task, demonstrations)
    found = score(asker, task, demonstrations, [*queries, *more])
    return found[: len(queries)], found[len(queries) :]


def askable_content_free(asker: Asker, task: PromptTask, demonstrations: Sequence[int]) -> list[Labelled]:
    """Return the content-free queries that can be asked after some demonstrations.

    An empty text is left out where the prompt, or the last turn of the conversation, is then empty: an endpoint
    refuses that. So is a text that leaves the tokenizer nothing of its own before the label, or that the template of
    the model refuses.

    Raises
    ------
    InputError
        Free answers, an asker without probabilities of label words, or no text that can be asked, as where label
        words cannot be told apart.
    """
    check_label_probabilities(task, gives_label_probabilities=asker.gives_label_probabilities, name=asker.name)
    queries = content_free_queries(task)
    kept, refused = [], None
    for query, prompt in zip(queries, checked_prompts(task, demonstrations, queries), strict=True):
        if not (prompt if isinstance(prompt, str) else prompt[-1].content).strip():
            continue
        try:
            asker.check([prompt], task.labels, after=task.template.after_label)
        except PromptTooLongError as error:
            raise in_words_of_the_task(error, asker, task, demonstrations, [query]) from None
        except InputError as error:
            refused = error
            continue
        kept.append(query)
    if not kept:
        assert refused is not None  # only the empty text makes an empty prompt
        raise refused
    return kept


def check_prompt(asker: Asker, task: PromptTask, demonstrations: Sequence[int], queries: Sequence[Labelled]) -> None:
    """Refuse what cannot be asked, before anything is.

    Raises
    ------
    InputError
        As `score`.
    """
    prompts, after = checked_prompts(task, demonstrations, queries), task.template.after_label
    try:
        if task.free:
            asker.check_room(prompts, [query.label for query in queries], answer_tokens(asker, task), after=after)
        else:
            asker.check(prompts, task.labels, after=after)
    except PromptTooLongError as error:
        raise in_words_of_the_task(error, asker, task, demonstrations, queries) from None


def checked_prompts(task: PromptTask, demonstrations: Sequence[int], queries: Sequence[Labelled]) -> list[Prompt]:
    """Return the prompt of each query.

    Raises
    ------
    InputError
        No query, or a candidate that there is not.
    """
    return _checked_each(task, [demonstrations] * len(queries), queries)


def _checked_each(
    task: PromptTask, prompts_shown: Sequence[Sequence[int]], queries: Sequence[Labelled]
) -> list[Prompt]:
    if not queries:
        raise InputError("queries", "none", "at least 1", "Give the queries that the model is to answer.")
    wrong = [i for shown in prompts_shown for i in shown if not 0 <= i < task.K]
    if wrong:
        raise InputError("demonstrations", f"{wrong[0]}", f"0..{task.K - 1}", "Number the candidates from 0.")
    prompts: list[Prompt] = []
    # queries that follow each other after the same demonstrations: these are written once
    for shown, group in groupby(zip(prompts_shown, queries, strict=True), key=lambda pair: tuple(pair[0])):
        prompts += prompts_of(task.template, [task.candidates[i] for i in shown], [query for _, query in group])
    return prompts


def in_words_of_the_task(
    error: PromptTooLongError, asker: Asker, task: PromptTask, demonstrations: Sequence[int],
    queries: Sequence[Labelled],
) -> InputError:  # fmt: skip
    """Return the error that names the longest text of a prompt that is too long."""
    query = queries[error.position].text
    place, size = f"query {query[:SHOWN_LETTERS]!r}", int(asker.sizes([query])[0])
    sizes = asker.sizes([task.candidates[i].text for i in demonstrations]).tolist() if len(demonstrations) else []
    if sizes and max(sizes) >= size:
        longest = demonstrations[int(np.argmax(sizes))]
        size = max(sizes)
        place = f"candidate {longest + 1}, {task.candidates[longest].text[:SHOWN_LETTERS]!r}"
    return InputError(
        place, f"{size:,} tokens, in a prompt of {error.length:,}",
        f"a prompt of at most {error.most:,}, which is what {error.name!r} reads",
        "Leave it out, shorten it, or take fewer demonstrations; nothing is cut.",
    )  # fmt: skip
