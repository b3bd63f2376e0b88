"""Which tests run alone: those that time what they do, or drive a browser."""

import pytest

ALONE = {"test_jobs.py", "test_job_parent_killed.py", "test_gradient_jobs.py"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name == "browser" or item.path.name in ALONE:
            item.add_marker("alone")
