"""What the server of the dashboard refuses before it starts, and where it finds the script."""

from __future__ import annotations

import socket
import tomllib
from pathlib import Path

import pytest
from app_harness import open_app

from kernelsm.__main__ import main
from kernelsm.app import serve as serving
from kernelsm.app.shell import fits
from kernelsm.app.shell.fits import read_off
from kernelsm.files.limits import Limits
from kernelsm.runtime.errors import InputError
from kernelsm.surrogates.reading import read_surrogate


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Streamlit is asked to run, instead of running it."""
    commands: list[list[str]] = []
    monkeypatch.setattr(serving, "main", commands.append)
    monkeypatch.setattr(serving, "import_pages", lambda: None)
    monkeypatch.setattr(serving, "prepare_first_page", lambda: None)
    return commands


def test_a_port_that_is_taken_is_refused_and_another_one_named(started: list[list[str]]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port: found {port}, where another program listens.*--port \d+"):
            serving.serve("127.0.0.1", port)
    assert not started
    serving.serve("127.0.0.1", port)  # free again
    assert started[0][0] == "run"


@pytest.mark.parametrize("port", [0, -1, 65_536, 99_999])
def test_a_number_that_is_no_port_is_refused(started: list[list[str]], port: int) -> None:
    with pytest.raises(InputError, match="a port from 1 to 65535"):
        serving.serve("127.0.0.1", port)
    assert not started


def test_an_address_of_another_computer_is_refused(started: list[list[str]]) -> None:
    with pytest.raises(InputError, match=r"--address: found '192\.0\.2\.1'; expected an address of this computer"):
        serving.serve("192.0.2.1", 8765)  # an address that is nobody's, by agreement
    assert not started


def test_pages_and_settings_stand_beside_the_script_of_a_checkout() -> None:
    script = serving.script()
    assert script == Path(__file__).resolve().parents[2] / "app.py"
    assert (script.parent / ".streamlit" / "config.toml").exists()


def test_an_installed_package_runs_the_script_that_it_brings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "kernelsm" / "app" / "site" / "app.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    monkeypatch.setattr(serving, "__file__", str(tmp_path / "kernelsm" / "app" / "serve.py"))
    assert serving.script() == installed


def test_the_server_takes_as_large_a_file_as_is_read(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text())
    assert config["server"]["maxUploadSize"] == Limits().megabytes
    monkeypatch.setenv("KERNELSM_MAX_MEGABYTES", "77")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serving.serve("127.0.0.1", port)
    assert started[0][-2:] == ["--server.maxUploadSize", "77"]


def test_the_address_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(serving, "serve", lambda address, port: asked.append((address, port)))
    main(["app"])
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "7860")
    main(["app"])
    main(["app", "--address", "::1", "--port", "8502"])
    assert asked == [("127.0.0.1", 8501), ("0.0.0.0", 7860), ("::1", 8502)]


def test_the_first_page_is_ready_before_anybody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    read_off.clear()
    serving.prepare_first_page()
    computed: list[object] = []
    monkeypatch.setattr(fits, "read_surrogate", lambda *read: computed.append(read) or read_surrogate(*read))
    app = open_app()
    assert app.title[0].value.startswith("Which tasks help")
    assert not computed


def test_a_first_page_that_cannot_be_prepared_does_not_stop_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("no disk")

    monkeypatch.setattr("kernelsm.app.start.finished_result.prepare", broken)
    serving.prepare_first_page()
