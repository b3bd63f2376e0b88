"""The prompts of a task, as it is to be asked: plain text, or a conversation that shows demonstrations as turns."""

from __future__ import annotations

from collections.abc import Sequence

from kernelsm.models.chat_template import ASSISTANT, SYSTEM, USER, Turn
from kernelsm.prompts.asker import Conversation, Prompt
from kernelsm.prompts.task import Labelled, PromptTemplate


def conversation(instruction: str, shown: Sequence[tuple[str, str]], query: str) -> Conversation:
    """Return a conversation: the instruction as the system's turn, demonstrations as turns of user and assistant.

    Parameters
    ----------
    instruction : str
        Empty for none.
    shown : sequence of (str, str)
        What the user says and what the assistant replies, of each demonstration.
    query : str
        What the user says last.

    Examples
    --------
    >>> for turn in conversation("Judge.", [("Fine film", "good")], "Dull film"):
    ...     print(turn.role, "|", turn.content)
    system | Judge.
    user | Fine film
    assistant | good
    user | Dull film
    """
    first = [Turn(SYSTEM, instruction)] if instruction.strip() else []
    turns = [turn for said, replied in shown for turn in (Turn(USER, said), Turn(ASSISTANT, replied))]
    return (*first, *turns, Turn(USER, query))


def prompts_of(
    template: PromptTemplate, demonstrations: Sequence[Labelled], queries: Sequence[Labelled]
) -> list[Prompt]:
    """Return the prompt of each query after some demonstrations.

    In a conversation the user says each text as the template writes a query, and the assistant replies with the label
    alone, after its reasoning where the template shows some in demonstrations.

    Parameters
    ----------
    template : PromptTemplate
        Its `chat` says whether prompts are conversations.
    demonstrations, queries : sequence of Labelled
    """
    if not template.chat:
        head = template.head(demonstrations)
        return [head + template.tail(query) for query in queries]
    shown = [(template.tail(example), _reply(template, example)) for example in demonstrations]
    return [conversation(template.instruction, shown, template.tail(query)) for query in queries]


def _reply(template: PromptTemplate, example: Labelled) -> str:
    shows = "{reasoning}" in template.demonstration and example.reasoning
    return f"{example.reasoning}\n{example.label}" if shows else example.label


def shown_prompt(template: PromptTemplate, demonstrations: Sequence[Labelled], query: Labelled) -> str:
    """Return a prompt for people to read: a conversation with the name of who speaks above each turn."""
    (prompt,) = prompts_of(template, demonstrations, [query])
    if isinstance(prompt, str):
        return prompt
    return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in prompt) + f"\n\n[{ASSISTANT}]"
