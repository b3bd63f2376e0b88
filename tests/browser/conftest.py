"""A real server and a real Chromium for every test of this folder."""

from browser_fixtures import browser, cold_server, home, page, server

__all__ = ["browser", "cold_server", "home", "page", "server"]
