"""Whether the server's memory comes back after uploads: 22 visitors send 50 MB each, and leave.

KERNELSM_CHROMIUM=/usr/bin/chromium .venv/bin/python benchmarks/upload_memory.py
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from crowd import resident
from machine import publish
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))
from app_server import Server

VISITORS, MEGABYTES, AFTERWARDS = 22, 50, 260
BAR = 1.2


def samples(file: Path, seed: int) -> None:
    """Write a CSV of about 50 MB."""
    row = np.random.default_rng(seed).normal(size=(1000, 12)).round(6)
    lines = "\n".join(",".join([*map(str, values), str(place % 3)]) for place, values in enumerate(row)) + "\n"
    with file.open("w") as written:
        written.write(",".join([*(f"x{column}" for column in range(12)), "label"]) + "\n")
        for _ in range(MEGABYTES * 10**6 // len(lines)):
            written.write(lines)


def main() -> None:
    """Send, leave, wait, and compare."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        server.start()
        assert server.process is not None
        browser = playwright.chromium.launch(executable_path=os.environ["KERNELSM_CHROMIUM"])
        try:
            peak, before = 0.0, 0.0
            for number in range(VISITORS + 1):
                file = Path(folder) / f"samples{number}.csv"
                samples(file, number)
                context = browser.new_context()
                page = context.new_page()
                page.goto(f"{server.url}/data", wait_until="networkidle")
                page.locator("input[type=file]").first.set_input_files(file)
                page.get_by_text("What the columns mean").first.wait_for(timeout=120_000)
                context.close()
                file.unlink()
                if number == 0:  # what every server has loaded after its first upload
                    time.sleep(AFTERWARDS)
                    before = resident(server.process.pid)
                peak = max(peak, resident(server.process.pid))
            time.sleep(AFTERWARDS)
            after = resident(server.process.pid)
        finally:
            browser.close()
            server.process.terminate()
            server.process.wait()
    publish(
        "upload_memory",
        {
            "visitors": VISITORS,
            "megabytes_each": MEGABYTES,
            "before_mib": before,
            "most_mib": peak,
            "afterwards_mib": after,
            "ratio": after / before,
            "bar": BAR,
        },
    )


if __name__ == "__main__":
    main()
