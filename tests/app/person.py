"""Somebody at a browser, who owns what was brought with it: the cookie of the browser says who it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from app_harness import open_app
from streamlit.testing.v1 import AppTest

from kernelsm.app.shell.owner import proof_by, public_id
from kernelsm.workspace.holders import hold
from kernelsm.workspace.kept import Kept, KeptItem
from kernelsm.workspace.prompt_projects import PROMPTS, PromptSource, keep_prompts


@dataclass(frozen=True)
class Person:
    """Whoever sits at one browser."""

    name: str

    def id(self, key: str) -> str:
        return public_id(proof_by(self.name, key))

    def own(self, kind: Kept[Any], key: str, root: Path | None = None) -> None:
        hold(KeptItem(kind, key), self.id(key), "owner", root)

    def open(self, page: str = "", **params: str) -> AppTest:
        secret = SimpleNamespace(session_state={"kernelsm_owner_secret": self.name})
        return open_app(page, browser=cast(AppTest, secret), **params)

    def bring(self, source: PromptSource) -> str:
        """Keep texts for prompts as this person's own; returns their key."""
        key = keep_prompts(source)
        self.own(PROMPTS, key)
        return key


ME = Person("me")
