"""The server of the page."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from threading import Event

from actionstream.choices import RuntimeName
from actionstream.commands import signals
from actionstream.demos.page.site import Limits, Site
from actionstream.models.errors import ActionstreamError

HEAD = '<link rel="stylesheet" href="page/page.css"><script src="page/page.js"></script>'


def serve(
    *,
    model: str,
    runtime: RuntimeName,
    device: str,
    host: str,
    port: int | None,
    share: bool,
    limits: Limits,
    say: Callable[[str], None],
) -> None:
    """Serve the page until the program is stopped; ValueError or OSError where it cannot be."""
    if port is not None and not _is_free(host, port):
        raise ActionstreamError(f"port {port} is taken by another program; give another one, --port")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before they are imported: nothing calls home
    site = Site(model=model, runtime=runtime, device=device, limits=limits)
    os.environ["GRADIO_TEMP_DIR"] = str(site.uploads)
    try:
        from actionstream.demos.page.blocks import build, theme
        from actionstream.demos.page.routes import Routes

        blocks = build(site)
        blocks.queue(api_open=False)
        _, local, public = blocks.launch(
            server_name=host,
            server_port=port,
            share=share,
            quiet=True,
            prevent_thread_lock=True,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            pwa=False,
            show_error=False,
            max_file_size=int(limits.max_megabytes * 1e6),
            theme=theme(),
            head=HEAD,
            app_kwargs={"routes": Routes(site).routes()},
        )
        say(f"the page is at {public or local} (Ctrl-C ends)")
        try:
            Event().wait()
        finally:
            signals.arrived()
            blocks.close(verbose=False)
    finally:
        site.close()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise ActionstreamError(f"nothing can listen at {host}:{port}: {error.strerror}") from error
    return True
