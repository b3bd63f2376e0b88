"""Print the path of a Chromium: the system's, else Playwright's own, else Debian's package, installed now."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def on_path() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def installed_now() -> str | None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return None
    print("No Chromium found: installing Debian's package for the browser tests.", file=sys.stderr)
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
        done = subprocess.run(command, stdout=sys.stderr, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode != 0:
            return None
    return on_path()


if __name__ == "__main__":
    chosen = os.environ.get("KERNELSM_CHROMIUM") or on_path() or playwrights_own() or installed_now()
    if not chosen:
        sys.exit(
            "make test: no Chromium for the browser tests. Install one (Debian: apt-get install chromium; elsewhere: "
            ".venv/bin/python -m playwright install chromium) or set KERNELSM_CHROMIUM to its path."
        )
    print(chosen)
