"""Each test has a cache of its own; where it asks for it, jobs are done at once, or a real server and browser."""

from app_fixtures import drawn, jobs, own_cache, warm_server
from browser_fixtures import browser, home, page, server

__all__ = ["browser", "drawn", "home", "jobs", "own_cache", "page", "server", "warm_server"]
