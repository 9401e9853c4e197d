"""``fastrnn demo`` serves the page to this machine alone, and stops when it is asked to."""

from __future__ import annotations

import http.client
import importlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fastrnn.command import cli

COMMAND = [sys.executable, "-m", "fastrnn", "demo", "--no-browser"]
PATIENCE = 30.0

# Without Panel, `fastrnn demo` has nothing to serve a page with.
WITHOUT_PANEL = "import sys; sys.modules['panel'] = None; from fastrnn.command.cli import main; "


def test_without_panel_it_names_the_extra() -> None:
    code = WITHOUT_PANEL + "sys.exit(main(['demo', '--no-browser']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "fastrnn: error: the page needs Panel, which the extra 'demo' brings: "
        "python -m pip install 'fastrnn[demo]'\n"
    )


@pytest.mark.parametrize("port", ["65536", "-1", "http", ""])
def test_what_is_no_port_is_refused(port, capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["demo", "--port", port])
    assert "argument --port: it must be " in capsys.readouterr().err


def test_a_port_in_use_is_an_error_with_a_sentence(capsys) -> None:
    pytest.importorskip("panel")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["demo", "--no-browser", "--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"fastrnn: error: port {port} is in use; without --port any free one is taken\n"
    )


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen, int]]:
    """The command as a process, and its port."""
    pytest.importorskip("panel")
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
            assert found, said
            yield process, int(found[1])
        finally:
            process.kill()


def status(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answered = connection.getresponse().status
    connection.close()
    return answered


def opened_socket(port: int, origin: str) -> int:
    return status(
        port, "/one-neuron/ws", Upgrade="websocket", Connection="Upgrade", Origin=origin,
        Sec_WebSocket_Version="13", Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
        Sec_WebSocket_Protocol="bokeh",
    )  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to a process")
def test_it_serves_this_machine_alone_until_ctrl_c(served) -> None:
    process, port = served
    assert status(port, "/") == status(port, "/one-neuron") == 200
    assert status(port, "/no-such-view") == 404
    for origin in ("http://evil.example", f"http://evil.example:{port}", "http://127.0.0.1:1"):
        assert opened_socket(port, origin) == 403
    if sys.platform == "linux":  # where all of 127.0.0.0/8 is this machine
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, "", "fastrnn: interrupted\n")


def started_and_stopped() -> None:
    from fastrnn.demo import server

    started = server.start(0)
    started.stop(wait=False)
    started.io_loop.close()


def test_a_page_that_is_closed_amid_a_message_says_nothing(caplog) -> None:
    pytest.importorskip("panel")
    tornado = importlib.import_module("tornado.websocket")  # Panel's server
    started_and_stopped()
    log = logging.getLogger("asyncio")
    closed = tornado.WebSocketClosedError()
    log.error("Task exception was never retrieved", exc_info=(type(closed), closed, None))
    assert not caplog.records
    log.error("Task exception was never retrieved", exc_info=(ValueError, ValueError("x"), None))
    assert len(caplog.records) == 1


def test_no_ping_takes_the_session_of_a_page_that_is_closing(monkeypatch) -> None:
    pytest.importorskip("panel")
    bokeh = importlib.import_module("bokeh.server.tornado")  # Panel's server
    jobs = []

    def job(callback, *rest):
        jobs.append(callback.__name__)
        return periodic(callback, *rest)

    periodic = bokeh.PeriodicCallback
    monkeypatch.setattr(bokeh, "PeriodicCallback", job)
    started_and_stopped()
    assert jobs == ["_log_stats", "_cleanup_sessions"]
