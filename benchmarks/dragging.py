"""How smoothly charts follow a slider that is dragged, in a real Chromium, by real moves of the mouse.

On the Fit page with a table of K = 50 tasks, m = 500 subsets and q = 10 targets. The thumb of each slider goes back
and forth over its whole track for some seconds. Counted are frames of the screen (requestAnimationFrame), pictures of
the chart that differ from the one before, and messages to the server until the release: there should be none.

    KERNELSM_CHROMIUM=/usr/bin/chromium .venv/bin/python benchmarks/dragging.py
"""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import publish
from page_latency import K, M, Q, example_table, ready
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

from kernelsm.workspace.tables import save_run

SECONDS, SWEEP = 4.0, 1.0
FEWEST_FRAMES = 20.0
SLIDERS = {"gamma": "view_gamma", "ridge": "view_ridge", "subsets used": "view_used"}

# Notes every frame of the screen, and whether the chart's layer was drawn anew in it.
RECORD = """
chart => {
  const found = window.__drag = {frames: [], pictures: [], stop: false};
  let drawn = false;
  const observer = new MutationObserver(() => { drawn = true; });
  observer.observe(document.querySelector(`.st-key-${chart}`), {subtree: true, childList: true});
  const tick = now => {
    found.frames.push(now);
    if (drawn) found.pictures.push(now);
    drawn = false;
    if (found.stop) observer.disconnect(); else requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}
"""


def drag(page: Page, key: str) -> dict[str, Any]:
    """Drag one slider back and forth; returns what was seen."""
    sent: list[float] = []
    note = page.context.new_cdp_session(page)
    note.send("Network.enable")
    note.on("Network.webSocketFrameSent", lambda _: sent.append(time.perf_counter()))
    page.locator(f".kernelsm-live-said[data-ready~={key}]").wait_for(state="attached", timeout=120_000)
    ready(page, 1)
    slider = page.locator(f".st-key-{key} [data-testid=stSlider]")
    slider.scroll_into_view_if_needed()
    thumb = page.locator(f".st-key-{key} input[type=range]").locator(
        "xpath=ancestor::*[contains(@style,'position: absolute') and contains(@style,'left:')][1]"
    )
    box, at = slider.bounding_box(), thumb.bounding_box()
    assert box
    assert at
    y = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.evaluate(RECORD, "fit_scatter")
    sent.clear()
    begun, moves = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < SECONDS:
        share = 0.5 - 0.48 * math.cos(math.pi * passed / SWEEP)
        page.mouse.move(box["x"] + box["width"] * share, y)
        moves += 1
    asked = len(sent)
    frames, pictures = page.evaluate("(window.__drag.stop = true, [window.__drag.frames, window.__drag.pictures])")
    page.mouse.up()
    ready(page, 1)
    note.detach()
    gaps, seen = np.diff(frames), frames[-1] - frames[0]
    return {
        "frames_per_s": round(1000 * (len(frames) - 1) / seen, 1),
        "pictures_per_s": round(1000 * len(pictures) / seen, 1),
        "frame_ms_median": round(float(np.median(gaps)), 1),
        "frame_ms_p95": round(float(np.quantile(gaps, 0.95)), 1),
        "frame_ms_longest": round(float(gaps.max()), 1),
        "moves_per_s": round(moves / SECONDS, 1),
        "messages_before_release": asked,
    }


def main() -> None:
    """Drag every slider, publish."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        cache = Path(folder)
        run = save_run(example_table(), cache)
        server = Server(cache)
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=os.environ["KERNELSM_CHROMIUM"], args=flags)
        try:
            server.start()
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.set_default_timeout(120_000)
            page.goto(f"{server.url}/fit?run={run}&kernel=rbf")
            ready(page, 1)
            result: dict[str, Any] = {
                "K": K,
                "m": M,
                "q": Q,
                "seconds": SECONDS,
                "fewest_frames_per_s": FEWEST_FRAMES,
            }
            result["sliders"] = {name: drag(page, key) for name, key in SLIDERS.items()}
            result["within_bar"] = all(
                found["frames_per_s"] >= FEWEST_FRAMES and found["messages_before_release"] == 0
                for found in result["sliders"].values()
            )
        finally:
            browser.close()
            server.stop()
    publish("dragging", result)


if __name__ == "__main__":
    main()
