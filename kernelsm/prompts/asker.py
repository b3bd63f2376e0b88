"""Asker: whoever answers prompts, a language model on this computer or an endpoint, and what can be asked of it.

Whatever scores prompts asks an `Asker` and looks at what it can do: `gives_label_probabilities`, `gives_likelihoods`,
`gives_answers`. A prompt is what the template of a task made: plain text, which is continued, or a conversation,
whose last turn is the user's and which is replied to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.chat_template import Turn
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash

if TYPE_CHECKING:
    from kernelsm.models.language_model import LanguageModel
    from kernelsm.prompts.scoring import PromptTokens

Conversation: TypeAlias = Sequence[Turn]
Prompt: TypeAlias = str | Conversation


class PromptTooLongError(InputError):
    """A prompt that is longer than the model reads.

    Parameters
    ----------
    position : int
        Which of the prompts.
    length : int
        Its tokens, with the longest ending.
    most : int
        Most tokens that the model reads.
    name : str
        Of the model.
    """

    def __init__(self, position: int, length: int, most: int, name: str) -> None:
        self.position, self.length, self.most, self.name = position, length, most, name
        super().__init__(
            f"prompt {position + 1}", f"{length:,} tokens", f"at most {most:,}, which is what {name!r} reads",
            "Shorten it, or take fewer demonstrations; nothing is cut.",
        )  # fmt: skip

    def __reduce__(self) -> tuple[type[InputError], tuple[object, ...]]:  # type: ignore[override]
        return type(self), (self.position, self.length, self.most, self.name)


class Asker(ABC):
    """Answers prompts.

    Attributes
    ----------
    name : str
        For people and messages.
    gives_label_probabilities : bool
        Whether it can be asked for `label_log_probabilities`.
    gives_likelihoods : bool
        Whether it can be asked for `reference_log_likelihoods`.
    gives_answers : bool
        Whether it can be asked for `answers`.
    works_here : bool
        Whether this computer does the work: it is then shared out among its cores. An endpoint is asked by one
        process, several prompts at a time.
    """

    name: str
    gives_label_probabilities: bool = True
    gives_likelihoods: bool = True
    gives_answers: bool = True
    works_here: bool = True

    @abstractmethod
    def identity(self, *, chat: bool = False) -> str:
        """Forty hex digits of everything that its answers depend on besides the prompt: part of keys of the store.

        Parameters
        ----------
        chat : bool
            Whether it is asked with conversations.
        """

    def check(  # noqa: B027 - not all can tell
        self, prompts: Sequence[Prompt], endings: Sequence[str], *, after: str = ""
    ) -> None:
        """Refuse prompts that it cannot be asked with any of some endings, before the first one is asked.

        Parameters
        ----------
        prompts : sequence of Prompt
        endings : sequence of str
            Label words.
        after : str
            As of `label_log_probabilities`.

        Raises
        ------
        PromptTooLongError
            Names the longest.
        InputError
            Labels that it cannot tell apart, or conversations where it knows none.
        """

    def check_room(  # noqa: B027 - not all can tell
        self, prompts: Sequence[Prompt], references: Sequence[str], max_tokens: int, *, after: str = ""
    ) -> None:
        """Refuse prompts that leave no room for their references, or for answers of so many tokens.

        Raises
        ------
        PromptTooLongError
            Names the longest.
        InputError
            Conversations where it knows none.
        """

    def sizes(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return how long texts are, in tokens, or about so: four characters to a token where it is not known."""
        return np.array([-(-len(text.encode()) // 4) for text in texts], dtype=np.int64)

    def label_log_probabilities(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each label word after each prompt.

        Parameters
        ----------
        prompts : sequence of Prompt
            At least one. A label follows plain text after one space, and is the whole reply in a conversation.
        labels : sequence of str
        after : str
            What follows a label in the template. It is scored with the labels where some begin others (1 and 10), so
            that they can be told apart. In a conversation any text stands for the end of the turn.

        Returns
        -------
        ndarray, shape (q, labels)
            Log-probabilities in nats, normalised over the labels.

        Raises
        ------
        InputError
            Labels that cannot be told apart, a prompt that is too long, or an asker that gives none.
        """
        raise self._cannot("log-probabilities of label words")

    def reference_log_likelihoods(
        self, prompts: Sequence[Prompt], references: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each query's own reference answer.

        Parameters
        ----------
        prompts : sequence of Prompt
            At least one.
        references : sequence of str, length q
            The right answer of each.
        after : str
            As of `label_log_probabilities`.

        Returns
        -------
        ndarray, shape (q,)
            Log-likelihood of the whole answer in nats, the sum over its tokens.

        Raises
        ------
        InputError
            An empty reference, a prompt that is too long, or an asker that gives none.
        """
        raise self._cannot("likelihoods of answers")

    def answers(self, prompts: Sequence[Prompt], *, max_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        """Return the greedy answer to each prompt, without spaces around it.

        Parameters
        ----------
        prompts : sequence of Prompt
            At least one.
        max_tokens : int
            Most tokens of an answer.
        stop : sequence of str
            Texts that end an answer; they are no part of it.

        Raises
        ------
        InputError
            A prompt that is too long, or an asker that gives none.
        """
        raise self._cannot("answers")

    def _cannot(self, what: str) -> InputError:
        fix = "Choose another model, or another measure."
        return InputError(f"model {self.name!r}", f"no {what}", f"a model that gives {what}", fix)


class LocalAsker(Asker):
    r"""A language model on this computer; what prompts have in common at their start is read once.

    Parameters
    ----------
    model : LanguageModel

    Examples
    --------
    >>> from kernelsm.models.language_model import load_language_model
    >>> from kernelsm.prompts.asker import LocalAsker
    >>> asker = LocalAsker(load_language_model())  # doctest: +SKIP
    >>> asker.label_log_probabilities(["Review: wonderful\nSentiment:"], ["good", "bad"])  # doctest: +SKIP
    >>> asker.answers(["1 + 1 ="], max_tokens=4, stop=["\n"])  # doctest: +SKIP
    """

    def __init__(self, model: LanguageModel) -> None:
        self.model, self.name = model, model.name

    def identity(self, *, chat: bool = False) -> str:
        """Content hash of the model, and for conversations of its template."""
        return content_hash(self.model.content_hash, self.model.chat.text) if chat else self.model.content_hash

    def check(self, prompts: Sequence[Prompt], endings: Sequence[str], *, after: str = "") -> None:
        """Refuse prompts that are too long with one of some labels, and labels that it cannot tell apart."""
        self._labels(prompts, endings, after)

    def sizes(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Return the tokens of each text."""
        return np.array([len(row) for row in self.model.encode(texts)], dtype=np.int64)

    def label_log_probabilities(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each label word after each prompt, exactly; see `scoring`."""
        from kernelsm.prompts.scoring import label_log_probabilities

        return label_log_probabilities(self.model, self._labels(prompts, labels, after))

    def reference_log_likelihoods(
        self, prompts: Sequence[Prompt], references: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each query's own reference answer, exactly."""
        from kernelsm.prompts.scoring import ending_log_likelihoods

        return ending_log_likelihoods(self.model, self._references(prompts, references, after))[:, 0]

    def check_room(
        self, prompts: Sequence[Prompt], references: Sequence[str], max_tokens: int, *, after: str = ""
    ) -> None:
        """Refuse prompts that are too long with their reference, or with an answer of so many tokens."""
        self._references(prompts, references, after)
        self._check_lengths(np.array([len(row) + max_tokens for row in self.tokens(prompts)]))

    def _references(self, prompts: Sequence[Prompt], references: Sequence[str], after: str) -> PromptTokens:
        """Tokens of each prompt and of its reference."""
        from kernelsm.prompts.scoring import PromptTokens

        starts, rests = [], []
        for number, (prompt, reference) in enumerate(zip(prompts, references, strict=True), start=1):
            if not reference.strip():
                raise InputError(f"reference {number}", "an empty text", "the right answer", "Fill it in.")
            (bare,), (whole,) = self.tokens([prompt]), self.tokens([prompt], [reference], after=after)
            differing = (i for i, pair in enumerate(zip(bare, whole, strict=False)) if pair[0] != pair[1])
            start = min(next(differing, len(bare)), len(bare), len(whole) - 1)
            if not start:
                fix = "Write something before the answer that the tokenizer knows."
                raise InputError(f"prompt {number}", "no token before the answer", "one or more", fix)
            starts.append(tuple(whole[:start]))
            rests.append((tuple(whole[start:]),))
        tokens = PromptTokens(tuple(starts), tuple(rests))
        self._check_lengths(tokens.lengths())
        return tokens

    def answers(self, prompts: Sequence[Prompt], *, max_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        """Return the most probable continuation of each prompt, token by token."""
        from kernelsm.models.greedy_answers import greedy_answers

        rows = self.tokens(prompts)
        self._check_lengths(np.array([len(row) + max_tokens for row in rows]))
        end = None if isinstance(prompts[0], str) else self.model.chat.end_of_turn
        ends = [] if end is None else [end]
        found = greedy_answers(self.model, rows, max_tokens=max_tokens, stop=stop, ends=ends)
        return [answer.strip() for answer in found]

    def lengths(self, prompts: Sequence[Prompt], labels: Sequence[str], *, after: str = "") -> NDArray[np.int64]:
        """Return the tokens of each prompt with its longest label, however many the model reads, shape (q,)."""
        return self._split(prompts, labels, after).lengths()

    def tokens(
        self, prompts: Sequence[Prompt], endings: Sequence[str] | None = None, *, after: str = ""
    ) -> list[list[int]]:
        """Return the tokens of each prompt with each ending, or of the prompts alone.

        A prompt is read together with what follows it, never piece by piece: tokens may cross the seam.

        Returns
        -------
        list of lists of int
            All endings of the first prompt, then those of the next one.
        """
        if isinstance(prompts[0], str):
            texts = [str(prompt) for prompt in prompts]
            if endings is not None:
                texts = [f"{prompt} {ending}{after}" for prompt in texts for ending in endings]
            return self.model.encode(texts)
        rows = self.model.chat.rows(
            [prompt for prompt in prompts if not isinstance(prompt, str)], [""] if endings is None else list(endings)
        )
        end = self.model.chat.end_of_turn if after and endings is not None else None
        return rows if end is None else [[*row, end] for row in rows]

    def _labels(self, prompts: Sequence[Prompt], labels: Sequence[str], after: str) -> PromptTokens:
        tokens = self._split(prompts, labels, after)
        self._check_lengths(tokens.lengths())
        return tokens

    def _split(self, prompts: Sequence[Prompt], labels: Sequence[str], after: str) -> PromptTokens:
        from kernelsm.prompts.scoring import read_apart

        return read_apart(lambda some, ending: self.tokens(some, labels, after=ending), prompts, labels, after)

    def _check_lengths(self, lengths: NDArray[np.int64]) -> None:
        if lengths.max() > self.model.max_length:
            longest = int(lengths.argmax())
            raise PromptTooLongError(longest, int(lengths[longest]), self.model.max_length, self.name)


def as_asker(model: LanguageModel | Asker) -> Asker:
    """Return what answers prompts: an asker as it is, a language model as a `LocalAsker`."""
    return model if isinstance(model, Asker) else LocalAsker(model)
