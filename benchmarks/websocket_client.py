"""One visitor of the dashboard without a browser: the real websocket of Streamlit, spoken as its front end does."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

_WITHIN = 120.0


def cookie_of(url: str) -> str:
    """Return the cookie that the server gives a browser which visits it first."""
    with urllib.request.urlopen(f"{url}/_stcore/health", timeout=30) as answer:
        cookies = answer.headers.get_all("Set-Cookie") or []
    return "; ".join(cookie.partition(";")[0] for cookie in cookies)


@dataclass
class Visitor:
    """A visitor of one server.

    Parameters
    ----------
    url : str
        Of the server.
    query : str
        Parameters of the link that opens the page.
    page : str
        Path of the page, such as "explore".
    cookie : str
        Of the browser, where several tabs share one.
    """

    url: str
    query: str = ""
    page: str = ""
    cookie: str = ""
    socket: ClientConnection | None = None
    widgets: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    states: dict[str, WidgetState] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    script: str = ""
    fragments: dict[str, float] = field(default_factory=dict)

    async def open(self) -> float:
        """Connect and draw the page; returns the seconds."""
        start = time.perf_counter()
        address = self.url.replace("http", "ws", 1) + "/_stcore/stream"
        self.socket = await connect(
            address, subprotocols=[Subprotocol("streamlit")], max_size=None, open_timeout=_WITHIN,
            additional_headers={"Cookie": self.cookie or cookie_of(self.url)},
        )  # fmt: skip
        await self.run()
        return time.perf_counter() - start

    async def run(self, **trigger: WidgetState) -> float:
        """Ask for a run of the script and wait for its end; returns the seconds."""
        return await self._sent(self._rerun(**trigger))

    async def watch(self) -> float:
        """Wait as long as the page says, then draw again what it draws by the clock; returns the seconds."""
        await asyncio.sleep(max(self.fragments.values(), default=1.0))
        spent = 0.0
        for fragment in list(self.fragments):
            if fragment in self.fragments:  # a page that is drawn anew has others
                message = self._rerun()
                message.rerun_script.fragment_id, message.rerun_script.is_auto_rerun = fragment, True
                spent += await self._sent(message)
        return spent

    async def look(self, seconds: float) -> None:
        """Look at the page for a while; what it draws by the clock is drawn."""
        end = time.monotonic() + seconds
        while self.fragments and time.monotonic() + max(self.fragments.values()) < end:
            await self.watch()
        await asyncio.sleep(max(0.0, end - time.monotonic()))

    def _rerun(self, **trigger: WidgetState) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_script_hash = self.script
        message.rerun_script.page_name = "" if self.script else self.page
        states = [*self.states.values(), *trigger.values()]
        message.rerun_script.widget_states.CopyFrom(WidgetStates(widgets=states))
        return message

    async def press(self, key: str) -> float:
        """Press the button of a key."""
        state = WidgetState(id=self.widgets[key])
        state.trigger_value = True
        return await self.run(pressed=state)

    async def set(self, key: str, **value: Any) -> float:
        """Give the widget of a key a value, as the field of `WidgetState` that it takes."""
        state = WidgetState(id=self.widgets[key], **value)
        self.states[key] = state
        return await self.run()

    async def turn(self, page: str) -> float:
        """Turn to another page by the sidebar."""
        self.script = self.pages[page]
        self.states.clear()
        return await self.run()

    async def leave(self) -> None:
        """Close the tab."""
        if self.socket:
            await self.socket.close()

    async def _sent(self, message: BackMsg) -> float:
        assert self.socket is not None
        start = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        begun, of_fragment = False, bool(message.rerun_script.fragment_id)
        while True:
            answer = await asyncio.wait_for(self.socket.recv(), _WITHIN)
            forward = ForwardMsg()
            forward.ParseFromString(answer if isinstance(answer, bytes) else answer.encode())
            kind = forward.WhichOneof("type")
            if kind == "new_session":
                begun = True
                self.texts.clear()
                if not of_fragment:  # the whole page
                    self.fragments.clear()
                of_fragment = False
            elif kind == "auto_rerun":
                self.fragments[forward.auto_rerun.fragment_id] = forward.auto_rerun.interval
            elif kind == "navigation":
                self.script = forward.navigation.page_script_hash
                for page in forward.navigation.app_pages:
                    self.pages[page.url_pathname] = page.page_script_hash
            elif kind == "delta":
                self._note(forward.delta)
            elif kind == "page_info_changed":
                self.query = forward.page_info_changed.query_string
            elif kind == "script_finished" and begun:
                if forward.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                return time.perf_counter() - start

    def _note(self, delta: Any) -> None:
        if delta.WhichOneof("type") != "new_element":
            return
        kind = delta.new_element.WhichOneof("type")
        element = getattr(delta.new_element, kind)
        if identity := getattr(element, "id", ""):
            key = identity.rsplit("-", 1)[-1]
            self.widgets[key] = identity
        if kind in ("markdown", "alert", "heading", "progress"):
            self.texts.append(getattr(element, "body", "") or getattr(element, "text", ""))
