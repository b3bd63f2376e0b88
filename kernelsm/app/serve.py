"""`streamlit run` with everything imported first, so that the first visitor does not wait for it.

python -m kernelsm.app.serve app.py --server.port 8501
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

from streamlit.web.cli import main

import kernelsm.app


def import_pages() -> None:
    """Import every file of the dashboard, and with them all that the pages need."""
    for module in pkgutil.walk_packages(kernelsm.app.__path__, "kernelsm.app."):
        importlib.import_module(module.name)


if __name__ == "__main__":
    import_pages()
    sys.argv = ["streamlit", "run", *sys.argv[1:]]
    sys.exit(main())
