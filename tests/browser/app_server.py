"""`streamlit run app.py` as a user would start it, on a free port and with a cache of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A server process; whoever starts it stops it."""

    cache: Path
    script: Path = ROOT / "app.py"
    port: int = 0
    as_installed: bool = False
    """Start it by `python -m kernelsm app`."""
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.cache / "server.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "streamlit", "run", str(self.script), "--server.port", str(self.port)]
        if self.as_installed:
            command = [sys.executable, "-m", "kernelsm", "app", "--port", str(self.port)]
        environment = {**os.environ, "KERNELSM_CACHE": str(self.cache), "STREAMLIT_SERVER_HEADLESS": "true"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not answer:\n{self.log.read_text()}")

    @contextmanager
    def held_job(self, message: str) -> Iterator[None]:
        """Halt the process of the running job whose message begins with this pattern, for as long as the block takes.

        The page then shows a job in the midst of its work on any machine, however fast.
        """
        deadline = time.monotonic() + 90
        while not (pids := [each["pid"] for each in self._running() if re.match(message, each["message"])]):
            assert time.monotonic() < deadline, f"no job said {message}"
            time.sleep(0.001)
        os.kill(pids[0], signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):  # it was cancelled meanwhile
                os.kill(pids[0], signal.SIGCONT)

    def _running(self) -> list[dict[str, Any]]:
        found = [json.loads(file.read_text()) for file in self.cache.glob("jobs/*/status.json")]
        return [status for status in found if status["state"] == "running"]

    def kill(self) -> None:
        """End the server as a crash would."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
