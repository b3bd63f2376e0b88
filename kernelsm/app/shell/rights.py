"""What this session may do with what is kept: everybody with a link sees it, its owner works with it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import streamlit as st

from kernelsm.app.shell.owner import owner_ids
from kernelsm.examples.catalog import EXAMPLES, PROMPT_EXAMPLES
from kernelsm.workspace.holders import hold, holders_of, is_owned, let_go
from kernelsm.workspace.kept import Kept, KeptItem
from kernelsm.workspace.projects import PROJECTS
from kernelsm.workspace.prompt_projects import PROMPTS

HOW_TO_OWN = (
    "Whoever brought it goes on with it in the browser it was brought with, or after opening a session file of "
    "theirs on Data & model."
)
"""What a sentence on something that is not this session's ends with."""


def owns(kind: Kept[Any], key: str) -> bool:
    """Whether this session brought or computed something, or opened the session file of who did."""
    return is_owned(KeptItem(kind, key), owner_ids(key))


def owns_alone(kind: Kept[Any], key: str) -> bool:
    """Whether nobody else owns it: what is kept with it, its title, may be changed."""
    return owns(kind, key) and holders_of(KeptItem(kind, key)).owners <= {*owner_ids(key)}


def claim(kind: Kept[Any], key: str) -> None:
    """Say that this session brought or computed something, so that it is its own."""
    hold(KeptItem(kind, key), owner_ids(key)[0], "owner")


def see(kind: Kept[Any], key: str) -> None:
    """Say that this session looks at something, now: it does not expire, nor is it deleted under it."""
    with suppress(OSError):  # where nothing can be written nothing can be deleted either
        hold(KeptItem(kind, key), owner_ids(key)[0], "owner" if owns(kind, key) else "viewer")


def give_up(kind: Kept[Any], key: str) -> int:
    """Let go of something and return the bytes freed: it is deleted where only this session held it and owned it."""
    return let_go(KeptItem(kind, key), owner_ids(key))


def may_use(source: str) -> bool:
    """Whether this session may compute with samples and a network: a built-in example's, or its own."""
    return source in EXAMPLES or owns(PROJECTS, source)


def may_ask(prompts: str) -> bool:
    """Whether this session may ask a model about texts: a built-in example's, or its own."""
    return prompts in PROMPT_EXAMPLES or owns(PROMPTS, prompts)


def say_not_yours(what: str, therefore: str) -> None:
    """Say why no work can be started here: what is not this session's own, in the plural, and what follows."""
    st.info(
        f"{what} are not this browser's own, so {therefore}: a link shows the result alone. {HOW_TO_OWN}",
        icon=":material/info:",
    )
