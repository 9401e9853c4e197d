"""The server of the page: on this machine, for this machine."""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import socket
import webbrowser
from collections.abc import Callable
from typing import Any

HOST = "127.0.0.1"


def serve(port: int, *, open_browser: bool, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Parameters
    ----------
    port : int
        0 for any that is free.
    open_browser : bool
        Whether to show the page in the browser.
    say : callable
        Is given the line that says where the page is.

    Raises
    ------
    ImportError
        Where Panel is missing, saying which extra brings it.
    OSError
        If the port cannot be had.
    KeyboardInterrupt
        When Ctrl-C has stopped the server.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        server = start(port)
        loop = server.io_loop
        # Panel's own handler would end the process as if nobody had asked for it.
        signal.signal(signal.SIGINT, lambda *_: loop.add_callback_from_signal(loop.stop))
        address = f"http://{HOST}:{server.port}/"
        say(f"fastrnn demo: {address} (Ctrl-C stops it)")
        if open_browser:
            loop.add_callback(webbrowser.open, address)
        loop.start()
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of what the loop was at
        with contextlib.suppress(Exception):  # nothing that a closing page does is worth a word
            server.stop(wait=False)
            loop.close()
    finally:
        signal.signal(signal.SIGINT, before)
    raise KeyboardInterrupt


def start(port: int) -> Any:
    """Return the server, listening but with its loop not yet running."""
    try:
        import panel
    except ImportError:
        raise ImportError(
            "the page needs Panel, which the extra 'demo' brings: "
            "python -m pip install 'fastrnn[demo]'"
        ) from None
    from tornado.ioloop import IOLoop

    from fastrnn.demo import page

    # The console is for the reader: what a browser breaks off, or somebody else's page asks for in
    # vain, is nothing to act on.
    for name in ("bokeh", "tornado.access", "tornado.application"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").addFilter(_is_no_closed_page)
    port = _require_free(port)
    server = panel.io.server.get_server(
        page.pages(),
        title=page.titles(),
        port=port,
        address=HOST,
        websocket_origin=[f"{HOST}:{port}", f"localhost:{port}"],
        static_dirs={"assets": str(page.ASSETS)},
        # Pings are for proxies, of which there are none. One that meets a closing page takes its
        # session away, and Bokeh then prints an AssertionError for each message yet to be read.
        keep_alive_milliseconds=0,
        loop=IOLoop(make_current=False),  # asking for the thread's is deprecated where it has none
        show=False,
        start=False,
    )
    server.start()
    return server


def _is_no_closed_page(record: logging.LogRecord) -> bool:
    """Whether a record is of anything but a message to a page that has just been closed."""
    error = record.exc_info[1] if record.exc_info else None
    return type(error).__name__ != "WebSocketClosedError"  # Tornado's


def _require_free(port: int) -> int:
    """Return the port, or one that is free for 0: the origins it admits must be known before."""
    with socket.socket() as probe:
        # As the server will: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                why = "is in use; without --port any free one is taken"
            else:
                why = f"cannot be had: {error.strerror}"
            raise OSError(f"port {port} {why}") from None
        return probe.getsockname()[1]
