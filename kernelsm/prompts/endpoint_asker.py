"""EndpointAsker: prompts asked of an OpenAI-compatible endpoint, by its log-probabilities or by its answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelsm.models.chat_template import USER, Turn
from kernelsm.models.endpoint import Endpoint
from kernelsm.prompts.asker import Asker, Prompt
from kernelsm.prompts.label_tokens import Listed, label_masses
from kernelsm.runtime.errors import InputError
from kernelsm.runtime.store import content_hash

TOP = 20
"""Most probable tokens that chat completions tell of: the most that OpenAI's do."""
_LABEL_TOKENS = 8
"""Tokens of a reply in which a label word is looked for; longer ones are told by their beginning."""


class EndpointAsker(Asker):
    """Asks an endpoint, several prompts at a time; every answer is kept and never paid for twice.

    Label words are scored by what the endpoint gives:

    - completions with log-probabilities: exactly, as by a model on this computer. Each label is one call.
    - chat with log-probabilities: by the 20 most probable tokens of the reply. A label that none of them begins
      counts as probable as the least of them, which is more than it is. Each query is one call.
    - neither: it gives answers only, which are graded right or wrong.

    Parameters
    ----------
    endpoint : Endpoint

    Examples
    --------
    >>> from kernelsm import Store
    >>> from kernelsm.models.endpoint import Endpoint
    >>> from kernelsm.models.endpoint_address import EndpointAddress
    >>> address = EndpointAddress("http://127.0.0.1:8000/v1", "my-model")
    >>> asker = EndpointAsker(Endpoint(address))
    >>> asker.gives_label_probabilities, asker.gives_likelihoods, asker.gives_answers
    (True, False, True)
    """

    works_here = False

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.address = endpoint, endpoint.address
        self.name = self.address.name
        self.gives_label_probabilities = self.address.probabilities
        self.gives_likelihoods = self.address.probabilities and self.address.api == "completions"

    def identity(self, *, chat: bool = False) -> str:
        """Content hash of the address, which names the model; the endpoint itself may change behind it."""
        return content_hash("endpoint", self.address.text)

    def check(self, prompts: Sequence[Prompt], endings: Sequence[str], *, after: str = "") -> None:
        """Refuse conversations where it is asked for completions."""
        if self.address.api == "completions" and any(not isinstance(prompt, str) for prompt in prompts):
            fix = "Ask it by chat, or write prompts as plain text."
            raise InputError(f"endpoint {self.name!r}", "a conversation", "plain text, which is continued", fix)

    def calls(self, labels: int) -> int:
        """Calls that one prompt takes, with so many label words."""
        return labels if self.gives_likelihoods else 1

    def label_log_probabilities(
        self, prompts: Sequence[Prompt], labels: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each label word after each prompt, as the class says."""
        self.check(prompts, labels)
        if not self.gives_label_probabilities:
            raise self._cannot("log-probabilities of label words")
        if self.gives_likelihoods:
            begun = any(one != other and other.startswith(one) for one in labels for other in labels)
            ending = after if begun else ""
            pairs = [(str(prompt), f" {label}{ending}") for prompt in prompts for label in labels]
            scores = self._echoed(pairs).reshape(len(prompts), len(labels))
        else:
            bodies = [
                {"messages": _messages(prompt), **_GREEDY, "max_tokens": _LABEL_TOKENS, "logprobs": True,
                 "top_logprobs": TOP}
                for prompt in prompts
            ]  # fmt: skip
            found = self.endpoint.all("chat/completions", bodies)
            scores = np.array([np.log(label_masses(self._listed(answer), labels)) for answer in found])
        highest = scores.max(axis=1, keepdims=True)
        return np.asarray(scores - highest - np.log(np.exp(scores - highest).sum(axis=1, keepdims=True)))

    def reference_log_likelihoods(
        self, prompts: Sequence[Prompt], references: Sequence[str], *, after: str = ""
    ) -> NDArray[np.float64]:
        """Score each query's own reference answer, exactly; completions with log-probabilities alone tell."""
        if not self.gives_likelihoods:
            raise self._cannot("likelihoods of answers")
        self.check(prompts, references)
        for number, reference in enumerate(references, start=1):
            if not reference.strip():
                raise InputError(f"reference {number}", "an empty text", "the right answer", "Fill it in.")
        return self._echoed(
            [(str(prompt), f" {text}{after}") for prompt, text in zip(prompts, references, strict=True)]
        )

    def answers(self, prompts: Sequence[Prompt], *, max_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        """Return the answer to each prompt at temperature 0."""
        self.check(prompts, ())
        how: dict[str, Any] = {**_GREEDY, "max_tokens": max_tokens}
        if stop:
            how["stop"] = list(stop)[:4]  # as many as OpenAI's take; the others are looked for below
        if self.address.api == "completions":
            found = self.endpoint.all("completions", [{"prompt": str(prompt), **how} for prompt in prompts])
            texts = [self._text(answer["choices"][0].get("text")) for answer in found]
        else:
            bodies = [{"messages": _messages(prompt), **how} for prompt in prompts]
            found = self.endpoint.all("chat/completions", bodies)
            texts = [self._text(_message(answer).get("content") or "") for answer in found]
        return [_cut(text, stop).strip() for text in texts]

    def _echoed(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """Log-likelihood of each ending after its prompt."""
        bodies = [
            {"prompt": prompt + ending, **_GREEDY, "max_tokens": 0, "echo": True, "logprobs": 1}
            for prompt, ending in pairs
        ]
        found = self.endpoint.all("completions", bodies)
        return np.array(
            [self._ending(answer, *pair) for answer, pair in zip(found, pairs, strict=True)], dtype=np.float64
        )

    def _ending(self, answer: dict[str, Any], prompt: str, ending: str) -> float:
        """Sum over the tokens that reach into the ending; one that crosses the seam counts."""
        listed = answer["choices"][0].get("logprobs") or {}
        tokens, values = listed.get("tokens"), listed.get("token_logprobs")
        if not isinstance(tokens, list) or not isinstance(values, list) or len(tokens) != len(values) or not tokens:
            raise self._silent("no log-probabilities of the prompt (echo)")
        total, begin, whole = 0.0, 0, len(prompt) + len(ending)
        offsets = listed.get("text_offset")
        for number, (token, value) in enumerate(zip(tokens, values, strict=True)):
            if isinstance(offsets, list) and len(offsets) == len(tokens):
                begin = int(offsets[number])
                end = int(offsets[number + 1]) if number + 1 < len(tokens) else begin + max(1, len(str(token)))
            else:
                end = begin + len(str(token))
            if end > len(prompt) and begin < whole:
                if not isinstance(value, int | float) or not math.isfinite(value):
                    raise self._silent("a token of the ending without its log-probability")
                total += float(value)
            begin = end
        if begin < whole:
            raise self._silent(f"log-probabilities of {begin:,} of {whole:,} characters")
        return total

    def _listed(self, answer: dict[str, Any]) -> list[Listed]:
        """The most probable tokens at each place of a reply."""
        content = (answer["choices"][0].get("logprobs") or {}).get("content")
        if not isinstance(content, list) or not content:
            raise self._silent("no log-probabilities")
        try:
            return [
                Listed(
                    str(place["token"]),
                    {
                        str(one["token"]): float(one["logprob"])
                        for one in (place.get("top_logprobs") or [place])
                    },
                )
                for place in content
            ]  # fmt: skip
        except (KeyError, TypeError, ValueError):
            raise self._silent("log-probabilities that cannot be read") from None

    def _silent(self, found: str) -> InputError:
        expected = "log-probabilities"
        fix = "Choose answers that are graded, without log-probabilities, or another model."
        return InputError(f"endpoint {self.name!r}", found, expected, fix)

    def _text(self, text: object) -> str:
        if not isinstance(text, str):
            raise InputError(f"endpoint {self.name!r}", "an answer without text", "text", "Choose another model.")
        return text


_GREEDY: dict[str, Any] = {"temperature": 0}


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    """A conversation as it is sent; plain text is what the user says."""
    turns = [Turn(USER, prompt)] if isinstance(prompt, str) else prompt
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _message(answer: dict[str, Any]) -> dict[str, Any]:
    message = answer["choices"][0].get("message")
    return message if isinstance(message, dict) else {}


def _cut(text: str, stop: Sequence[str]) -> str:
    places = [text.find(mark) for mark in stop if mark and mark in text]
    return text[: min(places)] if places else text
