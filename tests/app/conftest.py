"""Each test of the app has a cache of its own; where it asks for it, jobs are done at once in its own process."""

from app_fixtures import drawn, jobs, own_cache, warm_server

__all__ = ["drawn", "jobs", "own_cache", "warm_server"]
