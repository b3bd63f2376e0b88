"""How smoothly charts follow a slider that is dragged, in a real Chromium, by real moves of the mouse.

On the Fit page with a table of K = 50 tasks, m = 500 subsets and q = 10 targets. The thumb of each slider goes back
and forth over its whole track for some seconds, with 120 moves of the mouse a second. Counted are frames of the
screen (requestAnimationFrame), pictures of the chart that differ from the one before, and messages to the server
until the release: there should be none.

    KERNELSM_CHROMIUM=/usr/bin/chromium .venv/bin/python benchmarks/dragging.py
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import publish
from page_latency import K, M, Q, example_table
from playwright.async_api import Page, async_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

from kernelsm.workspace.tables import save_run

SECONDS, SWEEP, MOVES = 4.0, 0.5, 120
FEWEST = 20.0
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


async def ready(page: Page, key: str) -> None:
    """Wait until the page is drawn, the server idle, and the stops of a slider known."""
    await page.wait_for_function("document.querySelectorAll('.st-key-fit_scatter .main-svg').length > 0")
    for _ in range(2):  # what was known before the last release is not what is known after it
        await page.locator(f".kernelsm-live-said[data-ready~={key}]").wait_for(state="attached")
        await page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")
        await page.wait_for_timeout(1500)


async def drag(page: Page, key: str) -> dict[str, Any]:
    """Drag one slider back and forth; returns what was seen."""
    await ready(page, key)
    sent: list[int] = []
    mouse = await page.context.new_cdp_session(page)
    await mouse.send("Network.enable")
    mouse.on("Network.webSocketFrameSent", lambda _: sent.append(1))
    slider = page.locator(f".st-key-{key} [data-testid=stSlider]")
    await slider.scroll_into_view_if_needed()
    thumb = page.locator(f".st-key-{key} input[type=range]").locator(
        "xpath=ancestor::*[contains(@style,'position: absolute') and contains(@style,'left:')][1]"
    )
    box, at = await slider.bounding_box(), await thumb.bounding_box()
    assert box
    assert at
    y = at["y"] + at["height"] / 2
    await page.mouse.move(at["x"] + at["width"] / 2, y)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] / 2, y)
    await page.evaluate(RECORD, "fit_scatter")
    sent.clear()
    clock = asyncio.get_running_loop().time
    begun, moves = clock(), []
    while (passed := clock() - begun) < SECONDS:
        x = box["x"] + box["width"] * (0.5 + 0.48 * math.sin(math.pi * passed / SWEEP))
        move = {"type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1}
        moves.append(asyncio.create_task(mouse.send("Input.dispatchMouseEvent", move)))  # none waits for the last
        await asyncio.sleep(1 / MOVES)
    await asyncio.gather(*moves)
    moving, asked = clock() - begun, len(sent)
    frames, pictures = await page.evaluate(
        "(window.__drag.stop = true, [window.__drag.frames, window.__drag.pictures])"
    )
    await page.mouse.up()
    await mouse.detach()
    gaps, seen = np.diff(frames), frames[-1] - frames[0]
    return {
        "frames_per_s": round(1000 * (len(frames) - 1) / seen, 1),
        "pictures_per_s": round(1000 * len(pictures) / seen, 1),
        "frame_ms_median": round(float(np.median(gaps)), 1),
        "frame_ms_p95": round(float(np.quantile(gaps, 0.95)), 1),
        "frame_ms_longest": round(float(gaps.max()), 1),
        "moves_per_s": round(len(moves) / moving, 1),
        "messages_before_release": asked,
    }


async def measured(url: str) -> dict[str, Any]:
    """Drag every slider of the Fit page at this address."""
    async with async_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = await playwright.chromium.launch(executable_path=os.environ["KERNELSM_CHROMIUM"], args=flags)
        page = await browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(120_000)
        await page.goto(url)
        sliders = {name: await drag(page, key) for name, key in SLIDERS.items()}
        await browser.close()
    within = all(
        min(found["frames_per_s"], found["pictures_per_s"]) >= FEWEST and found["messages_before_release"] == 0
        for found in sliders.values()
    )
    return {
        "K": K, "m": M, "q": Q, "seconds": SECONDS, "bar_per_s": FEWEST, "sliders": sliders, "within_bar": within
    }  # fmt: skip


def main() -> None:
    """Drag every slider, publish."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        run = save_run(example_table(), cache)
        server = Server(cache)
        try:
            server.start()
            result = asyncio.run(measured(f"{server.url}/fit?run={run}&kernel=rbf"))
        finally:
            server.stop()
    publish("dragging", result)


if __name__ == "__main__":
    main()
