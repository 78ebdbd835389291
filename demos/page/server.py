"""The server of the page."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Sequence
from threading import Event
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from actionstream.choices import RuntimeName
from actionstream.commands import signals
from actionstream.demos.page.hosts import Hosts
from actionstream.demos.page.limits import Limits
from actionstream.demos.page.projects import Project
from actionstream.demos.page.site import Site
from actionstream.models.common.errors import ActionstreamError

PORTS = range(7860, 7960)
END_SECONDS = 0.5
"""The wait for frames in progress when the server ends."""


def serve(
    *,
    model: str,
    runtime: RuntimeName,
    device: str,
    host: str,
    port: int | None,
    share: bool,
    root_path: str,
    proxies: Sequence[str],
    allowed_hosts: Sequence[str],
    limits: Limits,
    project: Project | None,
    say: Callable[[str], None],
) -> None:
    """Serve the page until the program is stopped; ValueError or OSError where it cannot be served.

    project  what is annotated; only who has the whole address that `say` is given gets it
    """
    listening = _listen(host, PORTS if port is None else [port])
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: no statistics are sent
    with listening:
        site = Site(model=model, runtime=runtime, device=device, limits=limits, project=project)
        try:
            hosts = Hosts([host, *allowed_hosts])
            server = _server(site, root_path=root_path, proxies=proxies, hosts=hosts, any_of_proxies=not allowed_hosts)
            thread = threading.Thread(target=server.run, args=([listening],), name="server", daemon=True)
            thread.start()
            while not server.started and thread.is_alive():
                sleep(0.01)
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the guard prints each fault once
            local = f"http://{_shown(host)}:{listening.getsockname()[1]}/"
            try:
                if share:
                    local = _public(listening)
                    hosts.add(str(urlsplit(local).hostname))
                if project is not None:
                    local += f"#{project.token}"  # browsers send this part to nobody
                else:
                    site.sample.begin()  # before the first visitor, who then waits for nothing
                say(f"the page is at {local} (Ctrl-C ends)")
                Event().wait()
            except signals.Stopped as stopped:
                signals.arrived()
                server.should_exit = server.force_exit = True
                site.close(END_SECONDS)
                os._exit(stopped.exit_code)  # a normal exit of the libraries takes seconds
        finally:
            site.close(END_SECONDS)


def _server(site: Site, *, root_path: str, proxies: Sequence[str], hosts: Hosts, any_of_proxies: bool) -> Any:
    """A server of gradio and our own routes behind the guard."""
    os.environ["GRADIO_TEMP_DIR"] = str(site.uploads.folder)
    import gradio
    import uvicorn
    from fastapi import FastAPI
    from gradio import queueing

    from actionstream.demos.page.annotate_routes import AnnotateRoutes
    from actionstream.demos.page.blocks import build, theme
    from actionstream.demos.page.calls import Calls
    from actionstream.demos.page.connections import protocol
    from actionstream.demos.page.guard import Faults, Guard
    from actionstream.demos.page.routes import SCRIPTS, Routes
    from actionstream.demos.page.teach_routes import TeachRoutes

    faults = Faults()
    queueing.traceback = faults  # type: ignore[assignment]  # else gradio prints a traceback for each invalid call
    blocks = build(site)
    blocks.queue(api_open=False, max_size=site.limits.max_waiting_calls)
    blocks.state_session_capacity = site.limits.max_pages  # gradio keeps about 100 kB of each page, open or not
    blocks.has_launched = True  # else gradio accepts any file of this machine as an upload
    calls = Calls(blocks)
    site.forget_calls = calls.forget
    routes = [each for made in (Routes, TeachRoutes, AnnotateRoutes) for each in made(site).routes()]
    app = FastAPI(routes=routes, openapi_url=None)
    gradio.mount_gradio_app(
        app,
        blocks,
        "/",
        root_path=root_path,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        show_error=False,
        max_file_size=int(site.limits.max_megabytes * 1e6),
        theme=theme(),
        head='<link rel="stylesheet" href="page/page.css">'
        + "".join(f'<script src="page/{name}"></script>' for name in SCRIPTS),
    )
    config = uvicorn.Config(
        Guard(app, site, faults=faults, calls=calls, hosts=hosts, proxies=proxies, any_of_proxies=any_of_proxies),
        http=protocol(proxies, site.limits),
        ws="none",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=int(site.limits.max_head_kilobytes * 1000),
    )
    return uvicorn.Server(config)


def _listen(host: str, ports: Sequence[int]) -> socket.socket:
    """Listen at the first free port."""
    for port in ports:
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(place[:2], family=family, backlog=256)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ActionstreamError(f"nothing can listen at {host}:{port}: {error.strerror}") from error
    if len(ports) == 1:
        raise ActionstreamError(f"port {ports[0]} is taken by another program; give another one, --port")
    raise ActionstreamError(f"all ports from {ports[0]} to {ports[-1]} are taken; give another one, --port")


def _shown(host: str) -> str:
    return "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host


def _public(listening: socket.socket) -> str:
    """The public address of the page, through a tunnel of gradio's makers."""
    from gradio.networking import setup_tunnel

    return setup_tunnel("127.0.0.1", listening.getsockname()[1], secrets.token_urlsafe(32), None, None)
