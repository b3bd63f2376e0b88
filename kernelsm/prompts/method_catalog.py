"""The attribution methods on prompts by name, and how each is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernelsm.prompts.attribution import (
    PromptAttributor,
    PromptFirstOrder,
    PromptInfluence,
    PromptTracIn,
    PromptTrak,
)

if TYPE_CHECKING:  # names are known without torch
    from kernelsm.prompts.embedding_gradients import EmbeddingGradients


@dataclass(frozen=True)
class PromptMethod:
    """One entry of the catalog.

    Parameters
    ----------
    name, title : str
    make : callable
        Returns the method.
    """

    name: str
    title: str
    make: Callable[[EmbeddingGradients], PromptAttributor]
    needs = "prompts"


PROMPT_METHODS: dict[str, PromptMethod] = {
    kind.name: PromptMethod(kind.name, kind.title, kind)
    for kind in (PromptInfluence, PromptTracIn, PromptTrak, PromptFirstOrder)
}
