"""Browsers of people: who owns what goes by the cookie of the browser, as in `people`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from kernelsm.app.shell.owner import proof_by, public_id
from kernelsm.workspace.holders import hold
from kernelsm.workspace.kept import Kept, KeptItem


@dataclass(frozen=True)
class Cookie:
    """The cookie by which Streamlit knows a browser, and what somebody with it owns."""

    token: bytes

    def own(self, kind: Kept[Any], key: str, root: Path) -> None:
        hold(KeptItem(kind, key), public_id(proof_by(self.token.hex(), key)), "owner", root)

    def put(self, context: BrowserContext, url: str) -> None:
        context.add_cookies(
            [{"name": "_streamlit_xsrf", "value": generate_xsrf_token_string(self.token), "url": url}]
        )

    def context(self, browser: Browser, url: str) -> BrowserContext:
        """A browser that has this cookie."""
        context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
        self.put(context, url)
        return context


ALICE = Cookie(bytes(range(16)))
