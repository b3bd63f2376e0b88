"""`streamlit run` with everything imported first, so that the first visitor does not wait for it.

python -m kernelsm.app.serve app.py --server.port 8501
"""

from __future__ import annotations

import sys

from streamlit.web.cli import main

from kernelsm.app import (  # noqa: F401 - for their imports
    bring,
    cache_panel,
    data,
    demonstrations,
    explore,
    fit,
    gradients,
    start,
    subsets,
)

if __name__ == "__main__":
    sys.argv = ["streamlit", "run", *sys.argv[1:]]
    sys.exit(main())
