"""What a stranger reads of a table that holds the answer: measured effects, clear bars, and the words beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from app_server import Server
from browser_page import open_page, settled
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.alone
BREAST = Path(__file__).resolve().parents[1] / "own_data" / "breast_all256.csv"


def bring_table(page: Page, server: Server, file: Path) -> None:
    open_page(page, server, "data", "Data & model")
    page.get_by_role("radio", name="A table of outcomes", exact=True).click()
    expect(page.get_by_text("Outcomes table (CSV, Excel, Parquet, JSON or NPZ)")).to_be_visible()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Fit it").click()
    expect(page.get_by_role("heading", name="Fit", exact=True, level=1)).to_be_visible()
    page.get_by_role("link", name="Read the surrogate off on Explore").click()
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    settled(page)


def test_all_256_subsets_without_noise_are_answered_with_what_was_measured(page: Page, server: Server) -> None:
    bring_table(page, server, BREAST)
    expect(page.get_by_text("breast_all256.csv · 256 subsets · 8 tasks · 8 targets")).to_be_visible()
    # the sentence above the bars, and the caption below them
    expect(page.get_by_text("Including site_3 raises the loss by 0.138 (measured): it hurts.")).to_be_visible()
    expect(page.get_by_text("All 8 effects can be told from zero, with all of them in mind.")).to_be_visible()
    expect(page.get_by_text("not measured well enough yet")).to_have_count(0)
    bars = page.get_by_test_id("stPlotlyChart").first
    drawn = bars.locator(".js-plotly-plot").evaluate(
        "plot => [Array.from(plot._fullData[0].marker.line.width), plot._fullData[0].error_x.visible]"
    )
    assert drawn == [[0] * 8, False]  # all clear, and no whisker
    # the bar itself
    bars.locator(".points .point").nth(3).hover(force=True)
    expect(bars.locator(".hoverlayer")).to_contain_text("site_3: +0.138, measured (hurts)")
    # the list
    page.get_by_text("Table of all tasks").click()
    settled(page)
    rows = page.get_by_test_id("stDataFrame").first.locator("table tbody tr")
    expect(rows.nth(3)).to_contain_text("site_3")
    expect(rows.nth(3)).to_contain_text("0.138")
    expect(rows.nth(3)).to_contain_text("hurts, measured")
    # pairs are measured too: one cell of the heatmap, and the sum below it
    expect(
        page.get_by_text("All pairs are measured: read from measured rows, with nothing predicted.")
    ).to_be_visible()
    expect(page.get_by_text("= -0.032, measured.")).to_be_visible()


def test_what_is_found_among_200_tasks_is_drawn_and_listed(page: Page, server: Server, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    masks = rng.random((260, 200)) < 0.5
    values = 1.0 + 0.2 * masks[:, 199] - 0.1 * masks[:, 2] + rng.normal(0, 0.02, 260)
    names = [f"site_{k}" for k in rng.permutation(200)]
    effects = {names[199]: "hurts", names[2]: "helps"}
    lines = [",".join([*(f"task:{name}" for name in names), "target:loss"])]
    lines += [
        ",".join([*map(str, mask.astype(int)), f"{value:.5f}"]) for mask, value in zip(masks, values, strict=True)
    ]
    file = tmp_path / "many.csv"
    file.write_text("\n".join(lines))
    bring_table(page, server, file)
    # a fit of 200 tasks takes its time
    expect(page.get_by_text("Drawn are the 60 strongest of 200 tasks")).to_be_visible(timeout=60_000)
    for name, word in effects.items():
        field = page.get_by_label("Find among 200 tasks")
        field.fill(name)
        field.press("Enter")
        settled(page)
        expect(page.get_by_text("Drawn are the 60 strongest")).to_have_count(0)
        rows = page.get_by_test_id("stDataFrame").first.locator("table tbody tr")
        expect(rows.filter(has_text=word).first).to_contain_text(name)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download all tasks (CSV)").click()
    listed = [line.split(",")[0] for line in download.value.path().read_text().splitlines()[1:]]
    assert listed == [f"site_{k}" for k in range(200)]
