"""Messages of a chat as a question and its answer: the last turn of the assistant answers what stands before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kernelsm.files.text import check_whole_letters
from kernelsm.runtime.errors import InputError

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = {
    "system": SYSTEM, "developer": SYSTEM, "user": USER, "human": USER, "assistant": ASSISTANT, "gpt": ASSISTANT,
    "bot": ASSISTANT, "model": ASSISTANT,
}  # fmt: skip


def is_chat(value: Any) -> bool:
    """Return whether a JSON value is a list of messages, each with a role (or from) and its content (or value).

    Examples
    --------
    >>> is_chat([{"role": "user", "content": "Hi"}]), is_chat([{"text": "Hi"}])
    (True, False)
    """
    return (
        isinstance(value, list) and bool(value)
        and all(isinstance(one, dict) and isinstance(one.get("role", one.get("from")), str) for one in value)
        and all("content" in one or "value" in one for one in value)
    )  # fmt: skip


def chat_cells(messages: Sequence[dict[str, Any]], place: str) -> dict[str, str | InputError]:
    """Return the system message, what is asked and the answer of a chat; a cell that is no text is an error.

    Parameters
    ----------
    messages : sequence of dict
        Of which `is_chat` is true.
    place : str
        Where it stands, for messages.

    Returns
    -------
    dict
        `system` where there is one; `user`, the turns before the last one of the assistant: the user's alone where
        it is one, else with who speaks; and `assistant`, that last turn, if there is one. What follows is left out.

    Examples
    --------
    >>> chat_cells([{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "2"}], "here")
    {'user': '1+1?', 'assistant': '2'}
    """
    try:
        turns = [_turn(one, f"{place}, message {number}") for number, one in enumerate(messages, start=1)]
    except InputError as error:
        return {USER: error, ASSISTANT: error}
    system = "\n\n".join(text for role, text in turns if role == SYSTEM)
    spoken = [turn for turn in turns if turn[0] != SYSTEM]
    answers = [i for i, (role, _) in enumerate(spoken) if role == ASSISTANT]
    asked = spoken[: answers[-1]] if answers else spoken
    cells: dict[str, str | InputError] = {SYSTEM: system} if system else {}
    if len(asked) == 1:
        cells[USER] = asked[0][1]
    else:
        cells[USER] = "\n\n".join(f"{role.capitalize()}: {text}" for role, text in asked)
    if answers:
        cells[ASSISTANT] = spoken[answers[-1]][1]
    return cells


def _turn(message: dict[str, Any], place: str) -> tuple[str, str]:
    role, content = message.get("role", message.get("from")), message.get("content", message.get("value"))
    known = _ROLES.get(str(role).casefold())
    if known is None:
        fix = "Leave the messages of tools out."
        raise InputError(place, f"the role {role!r}"[:60], "system, user or assistant", fix)
    if isinstance(content, list):  # a message in parts
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        content = "\n".join(map(str, parts)) if all(isinstance(part, str) for part in parts) else None
    if not isinstance(content, str):
        raise InputError(place, "a message that is no text", "text in quotes", "Leave the row out.")
    check_whole_letters(content, place)
    return known, content.strip()
