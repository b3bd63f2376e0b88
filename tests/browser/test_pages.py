from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from app_server import Server
from browser_page import open_page, settled, turn_theme, watch_console
from playwright.sync_api import Browser, Page, Route, expect
from playwright.sync_api import TimeoutError as TooLate

PAGES = {
    "": "Which tasks help, which hurt, which interact?",
    "data": "Data & model",
    "gradients": "Gradients",
    "subsets": "Subsets",
    "fit": "Fit",
    "explore": "Explore",
    "decide": "Decide",
    "demonstrations": "Demonstrations",
    "compare": "Compare",
    "paper": "Paper",
}


def slider(page: Page, label: str):
    return page.locator("[data-testid=stSlider]").filter(has_text=label)


def metric(page: Page, label: str) -> str:
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").inner_text()


def predicted(page: Page) -> float:
    return float(metric(page, "Predicted loss").split(" ± ")[0])


def test_a_deep_link_on_a_cold_server_restores_the_view_inside_the_frame(page: Page, cold_server: Server) -> None:
    open_page(page, cold_server, "fit?run=planted&gamma=0.3&ridge=0.01", "Fit")
    expect(page.get_by_role("link", name="Explore", exact=True)).to_be_visible()  # the sidebar of app.py
    expect(slider(page, "kernel width")).to_contain_text("0.3")
    expect(slider(page, "ridge")).to_contain_text("0.01")
    expect(page.get_by_text("Planted game · 300 subsets")).to_be_visible()
    assert "gamma=0.3" in page.url


def test_what_the_link_says_outlives_a_click_before_the_widgets_are_loaded(page: Page, server: Server) -> None:
    held: list[Route] = []
    page.route(re.compile(r"/(ButtonGroup|Slider)\.[^/]*\.js"), lambda route: held.append(route))
    page.goto(f"{server.url}/fit?run=planted&kernel=rbf&gamma=0.3")
    link = page.get_by_role("button", name="Copy link")
    link.click()  # runs the page again
    expect(page.get_by_text("Opens this page with the same run")).to_be_visible()
    settled(page)
    assert len(held) == 2
    for route in held:
        route.continue_()
    expect(slider(page, "kernel width")).to_contain_text("0.3")
    expect(page.get_by_role("radio", name="RBF", exact=True)).to_be_checked()
    link.click()  # now the page hears from its widgets
    expect(page.get_by_text("Opens this page with the same run")).to_be_hidden()
    settled(page)
    expect(slider(page, "kernel width")).to_contain_text("0.3")
    assert "gamma=0.3" in page.url


def test_no_page_imports_torch_into_the_server(page: Page, cold_server: Server) -> None:
    for path, title in PAGES.items():
        open_page(page, cold_server, path, title)
    assert cold_server.process
    mapped = Path(f"/proc/{cold_server.process.pid}/maps").read_text()
    assert "numpy" in mapped  # the right process
    assert "libtorch" not in mapped


def test_a_click_on_a_heatmap_cell_shows_its_pair(page: Page, server: Server) -> None:
    open_page(page, server, "explore?run=planted", "Explore")
    chart = page.get_by_test_id("stPlotlyChart").nth(1)
    chart.locator(".heatmaplayer image").first.wait_for()
    plot = chart.locator(".nsewdrag").first.bounding_box()
    assert plot
    row, column, tasks = 2, 9, 10  # spam, XOR right
    cell = plot["width"] / tasks, plot["height"] / tasks
    page.mouse.click(plot["x"] + cell[0] * (column + 0.5), plot["y"] + cell[1] * (row + 0.5))
    expect(page.locator("[data-testid=stTable]")).to_contain_text("without spam (hurts)")
    expect(page.locator("[data-testid=stTable]")).to_contain_text("with XOR right")
    assert "focus=2-9" in page.url
    settled(page)
    # the pair of a second click elsewhere survives a reload
    page.mouse.click(plot["x"] + cell[0] * 7.5, plot["y"] + cell[1] * 6.5)
    page.wait_for_url("**focus=6-7**")
    page.reload()
    expect(page.locator("[data-testid=stTable]")).to_contain_text("with copy two")


def test_toggling_a_task_changes_the_prediction_and_the_link(page: Page, server: Server) -> None:
    open_page(page, server, "explore?run=planted", "Explore")
    before = predicted(page)
    page.get_by_role("button", name="key (with lock)").click()
    expect(page.get_by_text("9 of 10 tasks are in: predicted worse than with all tasks.")).to_be_visible()
    after = predicted(page)
    assert after > before + 0.1  # the key opens the lock: without it the loss is higher
    page.wait_for_url("**off=5**")
    page.reload()
    expect(page.get_by_text("9 of 10 tasks are in")).to_be_visible()
    assert predicted(page) == after


def test_the_linear_surrogate_shows_zero_interactions_and_says_why(page: Page, server: Server) -> None:
    open_page(page, server, "explore?run=planted&kernel=linear", "Explore")
    expect(page.get_by_text("Every interaction is exactly zero, whatever the data")).to_be_visible()
    cells = page.get_by_test_id("stPlotlyChart").nth(1).evaluate(
        "chart => chart.querySelector('.js-plotly-plot').data[0].z._inputArray"
        "          ?? chart.querySelector('.js-plotly-plot').data[0].z"
    )  # fmt: skip
    assert "0" in str(cells)
    page.get_by_role("radio", name="RBF").or_(page.get_by_role("button", name="RBF")).first.click()
    expect(page.get_by_text("Every interaction is exactly zero")).to_have_count(0)
    table = page.get_by_test_id("stDataFrame").first
    expect(table).to_be_visible()


def test_moving_a_slider_by_keyboard_changes_the_scores_and_the_link(page: Page, server: Server) -> None:
    open_page(page, server, "fit?run=planted&kernel=rbf", "Fit")
    before = metric(page, "Relative error, RBF")
    handle = slider(page, "ridge").locator("input[type=range]")
    assert "ridge=" not in page.url
    for _ in range(5):  # a key pressed while the page is drawn anew is lost, and a slow page shows late what it did
        handle.press("ArrowRight")
        with suppress(TooLate):
            page.wait_for_url("**ridge=*", timeout=6_000)
            break
    assert "ridge=" in page.url
    settled(page)
    expect(
        page.get_by_test_id("stMetric").filter(has_text="Relative error, RBF").get_by_test_id("stMetricValue")
    ).not_to_have_text(before)


def test_a_click_on_the_leave_one_out_surface_takes_its_gamma_and_lambda(page: Page, server: Server) -> None:
    open_page(page, server, "fit?run=planted", "Fit")
    page.get_by_role("tab", name="Which γ and ridge?").click()
    chart = page.get_by_test_id("stPlotlyChart").first
    chart.locator(".heatmaplayer image").first.wait_for()
    chart.scroll_into_view_if_needed()
    settled(page)
    plot = chart.locator(".nsewdrag").first.bounding_box()
    assert plot
    page.mouse.click(plot["x"] + 0.62 * plot["width"], plot["y"] + 0.72 * plot["height"])
    page.wait_for_url("**kernel=rbf**gamma=**")
    clicked = page.url
    page.get_by_role("button", name="Use the best").click()
    page.wait_for_url(lambda url: url != clicked and "kernel=rbf" in url)
    expect(page.get_by_role("button", name="Use the best")).to_be_disabled()


def test_the_gamma_sweep_plays_in_the_browser_alone(page: Page, server: Server) -> None:
    open_page(page, server, "fit?run=planted", "Fit")
    page.get_by_role("tab", name="What γ does").click()
    note = page.locator(".js-plotly-plot .textpoint text").first
    note.wait_for()
    settled(page)
    # with the server unreachable only the browser can move it
    page.context.set_offline(True)
    before = note.text_content()
    rail = page.locator(".slider-rail-touch-rect").first
    rail.scroll_into_view_if_needed()
    box = rail.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.95 * box["width"], box["y"] + box["height"] / 2)
    expect(note).not_to_have_text(before or "")
    page.context.set_offline(False)


def upload_outcomes(page: Page, file: Path) -> None:
    page.get_by_role("radio", name="A table of outcomes", exact=True).click()
    expect(page.get_by_text("Outcomes table (CSV, Excel, Parquet, JSON or NPZ)")).to_be_visible()
    page.locator("input[type=file]").set_input_files(file)


def test_an_uploaded_table_is_fitted_and_explored(page: Page, server: Server, tmp_path: Path) -> None:
    rows = ["task:left,task:right,target:loss"]
    rows += [f"{a},{b},{1.0 - 0.5 * (a and b):.2f}" for a in (0, 1) for b in (0, 1) for _ in range(5)]
    file = tmp_path / "and.csv"
    file.write_text("\n".join(rows))
    open_page(page, server, "data", "Data & model")
    upload_outcomes(page, file)
    expect(page.get_by_text("20 subsets of 2 tasks, 1 target")).to_be_visible()
    page.get_by_role("button", name="Fit it").click()
    expect(page.get_by_role("heading", name="Fit", exact=True, level=1)).to_be_visible()
    expect(page.get_by_text("and.csv · 20 subsets · 2 tasks")).to_be_visible()
    page.get_by_role("link", name="Read the surrogate off on Explore").click()
    expect(page.get_by_text("together the loss is")).to_have_count(2)
    page.reload()  # the table is found again by its content
    expect(page.get_by_text("20 subsets · 2 tasks")).to_be_visible()


def test_a_wrong_file_is_refused_in_words_and_the_page_goes_on(page: Page, server: Server, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text("task:a,task:b,target:loss\n0,1,0.5\n1,maybe,0.4\n")
    open_page(page, server, "data", "Data & model")
    upload_outcomes(page, file)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text("wrong.csv, row 2, column 'task:b'")
    expect(alert).to_contain_text("Found 'maybe'; expected 0 or 1.")
    page.get_by_role("link", name="Fit", exact=True).click()
    expect(page.get_by_role("heading", name="Fit", exact=True, level=1)).to_be_visible()


def test_a_link_with_wrong_values_opens_and_says_so(page: Page, server: Server) -> None:
    unknown = "0" * 40
    page.goto(f"{server.url}/explore?run={unknown}&gamma=hello&focus=3-4000")
    expect(page.get_by_test_id("stToast").first).to_be_visible()  # first: it goes away by itself
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
    expect(page.get_by_text("Handwritten digits · 400 subsets")).to_be_visible()


@pytest.fixture(scope="module")
def turning(browser: Browser) -> Iterator[Page]:
    """A page that turns from dark to light, in a browser that has loaded the app's scripts once."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


@pytest.mark.parametrize("path", list(PAGES))
def test_every_page_draws_in_both_themes_without_errors(turning: Page, server: Server, path: str) -> None:
    problems = watch_console(turning)
    turning.emulate_media(color_scheme="dark")
    open_page(turning, server, path, PAGES[path])
    for scheme in ("dark", "light"):
        turn_theme(turning, scheme)
        settled(turning)
        expect(turning.get_by_test_id("stException")).to_have_count(0)
        if path == "explore":  # zero takes the page's own tone
            middle = "#262d37" if scheme == "dark" else "#f3f4f6"
            turning.wait_for_function(
                "middle => document.querySelectorAll('.js-plotly-plot')[1]?.data?.[0]?.colorscale?.[2][1] === middle",
                arg=middle,
            )
    assert not problems, problems


def test_a_narrow_window_stacks_the_charts_inside_the_page(browser: Browser, server: Server) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 1000})
    page = context.new_page()
    open_page(page, server, "explore", "Explore")
    page.get_by_test_id("stPlotlyChart").nth(1).wait_for()
    bars, heatmap = (page.get_by_test_id("stPlotlyChart").nth(i).bounding_box() for i in (0, 1))
    assert bars
    assert heatmap
    assert heatmap["y"] > bars["y"] + bars["height"] - 1
    assert heatmap["x"] + heatmap["width"] <= 800
    context.close()
