"""`streamlit run` with everything imported first, so that the first visitor does not wait for it.

python -m kernelsm.app.serve app.py --server.port 8501
"""

from __future__ import annotations

import sys

from streamlit.web.cli import main

from kernelsm.app.data import bring, gallery  # noqa: F401 - for their imports
from kernelsm.app.demonstrations import slots  # noqa: F401 - for their imports
from kernelsm.app.explore import effects  # noqa: F401 - for their imports
from kernelsm.app.fit import workbench  # noqa: F401 - for their imports
from kernelsm.app.gradients import cache_panel, compute  # noqa: F401 - for their imports
from kernelsm.app.start import finished_result  # noqa: F401 - for their imports
from kernelsm.app.subsets import sampling  # noqa: F401 - for their imports

if __name__ == "__main__":
    sys.argv = ["streamlit", "run", *sys.argv[1:]]
    sys.exit(main())
