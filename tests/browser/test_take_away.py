"""Take away in a real browser: what is downloaded opens, and holds the link back."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from app_server import Server
from browser_page import open_page
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.alone


def test_every_file_is_handed_out_and_the_report_opens_and_links_back(
    page: Page, server: Server, tmp_path: Path
) -> None:
    open_page(page, server, "explore?run=planted&kernel=rbf&gamma=0.3&ridge=0.01", "Explore")
    page.get_by_role("button", name="Take away").press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Planted game as you see it")).to_be_visible()
    files: dict[str, Path] = {}
    for label in ("Report (HTML)", "Notebook and data (zip)", "All tables (zip)", "Outcomes (Parquet)"):
        with page.expect_download() as download:
            dialog.get_by_role("button", name=label).click()
        files[label] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[label])
    assert "result.ipynb" in zipfile.ZipFile(files["Notebook and data (zip)"]).namelist()
    assert "effects.csv" in zipfile.ZipFile(files["All tables (zip)"]).namelist()
    dialog.get_by_text("As code").click()
    expect(dialog.get_by_text("python -m kernelsm fit planted --kernel rbf --ridge 0.01 --gamma 0.3")).to_be_visible()
    page.goto(files["Report (HTML)"].as_uri())
    expect(page.locator("#interactions .main-svg").first).to_be_visible()
    link = page.get_by_role("link")
    expect(link).to_have_attribute("href", f"{server.url}/explore?run=planted&kernel=rbf&gamma=0.3&ridge=0.01")
    link.click()
    expect(page.get_by_role("heading", name="Explore", exact=True, level=1)).to_be_visible()
