"""How long a hand waits: slider to charts, toggle to prediction, click to detail, page to page, first page.

In a real Chromium on a table of K = 50 tasks, m = 500 subsets and q = 10 targets; demonstrations are picked among the
50 of the finished movie reviews. Each figure is the time in the page from the input event until the number, table or
title that it changes is there; for the slider, until the last repaint of the charts with the server idle again; for
the first page, until both of its charts are drawn, on a server that has drawn it before and on one that was just
started, which a browser that has never been there visits; for an example of prompts, from the click that opens it on
such a server until its suggestions and its number are there.
Beside it, in the same run and turn by turn, the plain limit: a slider on a Streamlit page that holds nothing but it
and one number.

    KERNELSM_CHROMIUM=/usr/bin/chromium .venv/bin/python benchmarks/page_latency.py
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from machine import publish
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

from kernelsm.outcomes.samplers import bernoulli_masks
from kernelsm.outcomes.table import Outcomes
from kernelsm.workspace.tables import save_run

K, M, Q = 50, 500, 10
TURNS = 15
BARS = {
    "slider": 250, "toggle": 200, "cell_click": 500, "pick": 500, "page_switch": 600, "first_paint": 2000,
    "cold_first_page": 4000, "cold_example": 3000,
}  # fmt: skip
COLD_TURNS = 3
SLOTS, TABLE_HEAD, TABLE_ROW = 4, 35, 102

BARE_APP = """
import streamlit as st
value = st.select_slider("bare", list(range(100)), value=50)
st.metric("value", value)
"""

# Starts a clock at the next input event; it stops when `read()` has changed, the server is idle and nothing was
# repainted for 60 ms. The time of the last repaint counts.
CLOCK = """
([read, event]) => {
  const state = {start: null, last: null, before: null};
  window.__clock = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error('nothing changed within 60 s')), 60000);
    state.before = eval(read);
    const begin = () => { if (state.start === null) state.start = state.last = performance.now(); };
    addEventListener(event, begin, {capture: true, once: true});
    const app = document.querySelector('[data-testid=stApp]');
    const observer = new MutationObserver(() => {
      if (state.start === null) return;
      state.last = performance.now();
      if (!state.changed && changed()) state.changed = state.last;
    });
    observer.observe(document.querySelector('[data-testid=stMain]'), {
      subtree: true, childList: true, characterData: true, attributes: true,
      attributeFilter: ['d', 'transform', 'href', 'style'],
    });
    const changed = () => { const now = eval(read); return now !== undefined && now !== state.before; };
    const poll = () => {
      const idle = app.getAttribute('data-test-script-state') !== 'running';
      if (state.start !== null && idle && changed() && performance.now() - state.last > 60) {
        observer.disconnect();
        resolve([state.changed - state.start, state.last - state.start]);
      } else setTimeout(poll, 20);
    };
    poll();
  });
}
"""


def example_table() -> Outcomes:
    """Main effects, thirty pair effects and noise, on ten targets."""
    rng = np.random.default_rng(0)
    masks = bernoulli_masks(K, M, seed=0)
    s = masks.astype(float)
    values = s @ rng.normal(0, 0.1, (K, Q))
    for j, k in rng.choice(K, (30, 2)):
        values += np.outer(s[:, j] * s[:, k], rng.normal(0, 0.1, Q))
    return Outcomes(masks, values + rng.normal(0, 0.02, values.shape) + 2.0, meta={"source": "page_latency"})


def timed(page: Page, read: str, event: str, act: Callable[[], Any], until: Literal["changed", "idle"]) -> float:
    """Milliseconds from the input event of `act` until `read` changed, or until the last repaint after that."""
    page.evaluate(CLOCK, [read, event])
    act()
    changed, idle = page.evaluate("window.__clock")
    return float(changed if until == "changed" else idle)


def ready(page: Page, charts: int) -> None:
    """Wait until a page has drawn its charts and the server is idle."""
    page.wait_for_function(f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {charts}")
    page.wait_for_function("!document.querySelector('[data-testid=stApp][data-test-script-state=running]')")
    page.wait_for_timeout(500)


def metric(index: int = 0) -> str:
    """Script that reads a number on the page."""
    return f"document.querySelectorAll('[data-testid=stMetricValue]')[{index}]?.textContent"


def median(values: list[float]) -> float:
    """Median in tenths of a millisecond."""
    return round(statistics.median(values), 1)


def main() -> None:
    """Start both servers, measure, publish."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        cache = Path(folder)
        run = save_run(example_table(), cache)
        bare_script = cache / "bare.py"
        bare_script.write_text(BARE_APP)
        server, bare = Server(cache), Server(cache, script=bare_script)
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        # two browsers: a page in the background of the other would be throttled
        path = os.environ["KERNELSM_CHROMIUM"]
        browsers = [playwright.chromium.launch(executable_path=path, args=flags) for _ in range(2)]
        try:
            server.start()
            bare.start()
            page, plain = (browser.new_page(viewport={"width": 1400, "height": 1000}) for browser in browsers)
            times = measure(page, plain, server, bare, run)
            server.stop()
            bare.stop()
            for name, visit in (("cold_first_page", first_page), ("cold_example", example_opened)):
                times[name] = [cold(visit, browsers[0], cache) for _ in range(COLD_TURNS)]
        finally:
            for browser in browsers:
                browser.close()
            server.stop()
            bare.stop()
    publish("page_latency", described(times))


def first_page(page: Page, url: str) -> float:
    """Milliseconds until both charts of the first page are drawn."""
    begun = time.perf_counter()
    page.goto(f"{url}/")
    page.wait_for_function(
        "document.querySelectorAll('.js-plotly-plot .bars path').length > 0"
        " && document.querySelectorAll('.js-plotly-plot .hm image').length > 0"
    )
    return 1000 * (time.perf_counter() - begun)


def example_opened(page: Page, url: str) -> float:
    """Milliseconds from the click that opens the movie reviews until they can be chosen from."""
    page.goto(f"{url}/demonstrations")
    opening = page.get_by_role("button", name="Open Movie reviews")
    opening.wait_for()
    ready(page, 0)
    begun = time.perf_counter()
    opening.click()
    page.get_by_role("heading", name="Suggestions").wait_for()
    page.get_by_role("button", name="Take", exact=True).last.wait_for()
    page.wait_for_function(f"{metric()} !== undefined")
    return 1000 * (time.perf_counter() - begun)


def cold(visit: Callable[[Page, str], float], browser: Browser, cache: Path) -> float:
    """What the first visitor of a server that was just started, as users start it, waits."""
    server = Server(cache, as_installed=True)
    server.start()
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    try:
        return visit(context.new_page(), server.url)
    finally:
        context.close()
        server.stop()


def measure(page: Page, plain: Page, server: Server, bare: Server, run: str) -> dict[str, list[float]]:
    """Milliseconds of every turn of every figure."""
    times: dict[str, list[float]] = {name: [] for name in (*BARS, "bare_slider")}

    page.goto(f"{server.url}/fit?run={run}&kernel=rbf")  # under Auto the sliders rest
    ready(page, 1)
    plain.goto(bare.url)
    plain.wait_for_selector("input[type=range]")
    plain.wait_for_timeout(1000)
    slider = page.locator("[data-testid=stSlider]").filter(has_text="ridge").locator("input[type=range]")
    bare_slider = plain.locator("input[type=range]")
    point = "document.querySelector('.js-plotly-plot')?._fullData?.[1]?.y?.[0]"  # the first prediction
    for turn in range(2 * TURNS):  # there on values no fit has seen, and back: both are what a hand does
        key = "ArrowLeft" if turn < TURNS else "ArrowRight"
        times["slider"].append(timed(page, point, "keydown", partial(slider.press, key), "idle"))
        times["bare_slider"].append(timed(plain, metric(0), "keydown", partial(bare_slider.press, key), "idle"))

    page.goto(f"{server.url}/explore?run={run}")
    ready(page, 2)
    pills = page.get_by_test_id("stButtonGroup").last.get_by_role("button").filter(has_text="task")
    for turn in range(TURNS):
        pill = pills.nth(turn)
        pill.scroll_into_view_if_needed()
        times["toggle"].append(timed(page, metric(0), "pointerdown", pill.click, "changed"))

    heatmap = page.locator(".js-plotly-plot").nth(1)
    heatmap.scroll_into_view_if_needed()
    area = heatmap.locator(".nsewdrag").first.bounding_box()
    assert area
    table = "document.querySelector('[data-testid=stTable]')?.textContent"
    for turn in range(TURNS):
        x = area["x"] + area["width"] * (turn + 0.5) / K
        y = area["y"] + area["height"] * (turn + 5.5) / K
        times["cell_click"].append(timed(page, table, "mousedown", partial(page.mouse.click, x, y), "changed"))
        page.wait_for_timeout(300)

    page.goto(f"{server.url}/demonstrations?run=movie-reviews")
    page.get_by_role("heading", name="Suggestions").wait_for()
    ready(page, 0)
    candidates = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert candidates
    for turn in range(2 * TURNS):  # the first four are ticked one by one, then unticked
        y = candidates["y"] + TABLE_HEAD + TABLE_ROW * (turn % SLOTS + 0.5)
        times["pick"].append(
            timed(page, metric(), "pointerdown", partial(page.mouse.click, candidates["x"] + 25, y), "changed")
        )
        page.wait_for_timeout(300)

    title = "document.querySelector('[data-testid=stMain] h1')?.textContent"
    for turn in range(TURNS):
        name = "Explore" if turn % 2 else "Fit"
        link = page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True)
        times["page_switch"].append(timed(page, title, "pointerdown", link.click, "changed"))
        page.wait_for_timeout(300)

    times["first_paint"] = [first_page(page, server.url) for _ in range(5)]
    return times


def described(times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians and 90 % quantiles of every figure."""
    result: dict[str, Any] = {"K": K, "m": M, "q": Q, "turns": TURNS}
    for name, found in times.items():
        result[f"{name}_ms"] = median(found)
        result[f"{name}_p90_ms"] = round(float(np.quantile(found, 0.9)), 1)
    result["slider_vs_bare"] = round(result["slider_ms"] / result["bare_slider_ms"], 2)
    result["bars_ms"] = BARS
    result["within_bars"] = {name: result[f"{name}_ms"] <= bar for name, bar in BARS.items()}
    return result


if __name__ == "__main__":
    main()
