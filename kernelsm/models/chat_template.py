"""Conversations as a model's own tokenizer writes them down, with every text in them kept apart from its marks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from kernelsm.runtime.errors import InputError

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_PROBE = "\ue001probe\ue002"
_FIX = "Ask it with plain prompts, or choose a model that was tuned for conversations."


class Turn(NamedTuple):
    """One turn of a conversation: who speaks ("system", "user" or "assistant"), and what is said."""

    role: str
    content: str


class ChatTemplate:
    """Turns conversations into tokens by the template that comes with a tokenizer.

    What is said in a turn is text. Where it holds a mark of the tokenizer, such as <|im_end|>, this is read as the
    letters that it is written with and ends no turn.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        With a chat template.
    name : str
        Of the model, for messages.

    Raises
    ------
    InputError
        The tokenizer has no chat template, or one that does not write out what a user says.
    """

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.tokenizer, self.name = tokenizer, name
        if not getattr(tokenizer, "chat_template", None):
            expected = "a tokenizer with a chat template"
            raise InputError(f"model {name!r}", "no chat template", expected, _FIX)
        if _PROBE not in self._written([Turn(USER, _PROBE)]):
            found = "a chat template that leaves out what the user says"
            raise InputError(f"model {name!r}", found, "one that writes it out", _FIX)

    @property
    def text(self) -> str:
        """The template as text; part of what answers depend on."""
        return json.dumps(self.tokenizer.chat_template)

    @cached_property
    def knows_system(self) -> bool:
        """Whether the template has a place for a system turn."""
        try:
            return _PROBE in self._written([Turn(SYSTEM, _PROBE), Turn(USER, "a")])
        except InputError:
            return False

    @cached_property
    def end_of_turn(self) -> int | None:
        """The token that ends what the assistant says; None where the template sets none."""
        written = self._written([Turn(USER, "a"), Turn(ASSISTANT, _PROBE)], reply=False)
        marks = self._marks.findall(written.partition(_PROBE)[2])
        return self._ids[marks[0]] if marks else None

    def rows(self, conversations: Sequence[Sequence[Turn]], replies: Sequence[str] = ("",)) -> list[list[int]]:
        """Return the tokens of each conversation and of the beginning of each reply to it.

        Parameters
        ----------
        conversations : sequence of sequences of Turn
            The last turn of each is the user's.
        replies : sequence of str
            Each is read together with the conversation before it: tokens may cross the seam.

        Returns
        -------
        list of lists of int, length conversations x replies
            All replies of the first conversation, then those of the next one.

        Raises
        ------
        InputError
            The template refuses a conversation.
        """
        found = []
        for conversation in conversations:
            turns = self.with_known_roles(conversation)
            shield = _Shield(self._marks, [*(turn.content for turn in turns), *replies])
            written = self._written([Turn(turn.role, shield.hide(turn.content)) for turn in turns])
            found += [self._tokens(written + shield.hide(reply), shield) for reply in replies]
        return found

    def with_known_roles(self, conversation: Sequence[Turn]) -> list[Turn]:
        """Put a system turn before the first user's turn where the template has no place for it."""
        turns = list(conversation)
        if turns and turns[0].role == SYSTEM and not self.knows_system:
            system, first, *rest = turns
            return [Turn(first.role, f"{system.content}\n\n{first.content}"), *rest]
        return turns

    def _written(self, turns: Sequence[Turn], *, reply: bool = True) -> str:
        messages = [turn._asdict() for turn in turns]
        try:
            written = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=reply)
        except Exception as error:  # a template is a program of strangers
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            found = f"a chat template that refuses the conversation ({reason})"
            raise InputError(f"model {self.name!r}", found, "one that takes it", _FIX) from error
        return str(written)

    def _tokens(self, written: str, shield: _Shield) -> list[int]:
        """Tokens of a conversation: marks of the template as marks, all else as text."""
        if not shield.hidden:  # as the tokenizer alone would read it
            return list(self.tokenizer(written, add_special_tokens=False, verbose=False)["input_ids"])
        row: list[int] = []
        for part in re.split(f"({self._marks.pattern})", written):
            if part in self._ids:
                row.append(self._ids[part])
            elif part:
                row += self._plain.encode(shield.show(part), add_special_tokens=False).ids
        return row

    @cached_property
    def _ids(self) -> dict[str, int]:
        """The marks of the tokenizer."""
        return {str(mark): int(number) for number, mark in self.tokenizer.added_tokens_decoder.items()}

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        longest_first = sorted(self._ids, key=lambda mark: -len(mark))
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @cached_property
    def _plain(self) -> Any:
        """The tokenizer without its marks: a copy, for it is asked in several threads."""
        from tokenizers import Tokenizer

        inner = json.loads(self.tokenizer.backend_tokenizer.to_str())
        for mark in inner.get("added_tokens", ()):
            mark["special"] = True
        plain = Tokenizer.from_str(json.dumps(inner))
        plain.encode_special_tokens = True
        return plain


class _Shield:
    """Hides the marks in texts while a template is filled in, so that those of the template can be told from them."""

    def __init__(self, marks: re.Pattern[str], texts: Sequence[str]) -> None:
        self._marks = marks
        self.hidden: list[str] = []
        whole = "".join(texts)
        # a private character that is in none of the texts
        self._edge = next((chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in whole), "\uf8ff")

    def hide(self, text: str) -> str:
        """Put a number between two private characters in the place of each mark."""

        def number(found: re.Match[str]) -> str:
            self.hidden.append(found[0])
            return f"{self._edge}{len(self.hidden) - 1}{self._edge}"

        return self._marks.sub(number, text)

    def show(self, text: str) -> str:
        """Put the marks back, as text."""
        return re.sub(f"{self._edge}(\\d+){self._edge}", lambda found: self.hidden[int(found[1])], text)
