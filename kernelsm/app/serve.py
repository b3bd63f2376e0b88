"""The server of the dashboard: `python -m kernelsm app`."""

from __future__ import annotations

import errno
import importlib
import logging
import pkgutil
import socket
import threading
from pathlib import Path

from streamlit.web.cli import main

import kernelsm.app
from kernelsm.files.limits import limits
from kernelsm.runtime.errors import InputError

logger = logging.getLogger(__name__)


def serve(address: str, port: int) -> None:
    """Serve the dashboard until it is interrupted.

    Raises
    ------
    InputError
        The port is taken or is none, or the address is not one of this computer.
    """
    _check_free(address, port)
    import_pages()  # else the first visitor waits for it
    threading.Thread(target=prepare_first_page, daemon=True, name="first-page").start()
    # Streamlit reads pages/ and .streamlit/config.toml beside the script, whatever the current folder is
    main(["run", str(script()), *options(address, port)])


def options(address: str, port: int) -> list[str]:
    """Return what Streamlit is started with; it takes as large a file as is read.

    Raises
    ------
    InputError
        The limit is set to something else than a whole number.
    """
    size = limits().megabytes
    return ["--server.address", address, "--server.port", str(port), "--server.maxUploadSize", str(size)]


def import_pages() -> None:
    """Import every file of the dashboard, and with them all that the pages need."""
    for module in pkgutil.walk_packages(kernelsm.app.__path__, "kernelsm.app."):
        importlib.import_module(module.name)


def prepare_first_page() -> None:
    """Compute what the first page shows: whoever comes first finds it, as everybody after."""
    from kernelsm.app.start.finished_result import prepare

    # Streamlit warns of work outside a visit, which this is on purpose
    logging.getLogger("streamlit.runtime.scriptrunner_utils.script_run_context").setLevel(logging.ERROR)
    try:
        prepare()
    except Exception:
        # the page computes it itself, and tells what is wrong
        logger.warning("the first page was not prepared", exc_info=True)


def script() -> Path:
    """Return app.py: an installed package holds it in `site/` beside this file, a checkout at its top."""
    here = Path(__file__).resolve()
    installed = here.parent / "site" / "app.py"
    return installed if installed.exists() else here.parents[2] / "app.py"


def _check_free(address: str, port: int) -> None:
    """Raise InputError where another program has the port, or the address is not one of this computer."""
    if not 1 <= port <= 65535:
        raise InputError("--port", f"{port}", "a port from 1 to 65535", "8501 is the default.")
    try:
        family, kind, protocol, _, socket_address = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # a port whose last server has just ended is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(socket_address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fix = f"Stop that program, or choose another port: --port {port % 65535 + 1}."
            raise InputError("--port", f"{port}, where another program listens", "a free port", fix) from None
        if error.errno == errno.EACCES:
            fix = "Choose one from 1024; 8501 is the default."
            raise InputError("--port", f"{port}", "a port that this user may open", fix) from None
        fix = "127.0.0.1 is for this computer alone, 0.0.0.0 for all that can reach it."
        raise InputError("--address", repr(address), "an address of this computer", fix) from None
