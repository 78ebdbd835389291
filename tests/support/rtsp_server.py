"""A real RTSP server for the tests: GStreamer's, run by the system's Python, which has its bindings.

    python3 rtsp_server.py PORT PATH=LAUNCH ... [--login USER:PASSWORD]

Each LAUNCH is a GStreamer pipeline whose payloader is called pay0. Prints "ready" when it listens.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402  needs the versions above

parser = argparse.ArgumentParser()
parser.add_argument("port")
parser.add_argument("mounts", nargs="+")
parser.add_argument("--login")
arguments = parser.parse_args()

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(arguments.port)
if arguments.login:
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "viewer")
    authority = GstRtspServer.RTSPAuth()
    authority.add_basic(GstRtspServer.RTSPAuth.make_basic(*arguments.login.split(":")), token)
    server.set_auth(authority)
for mount in arguments.mounts:
    path, launch = mount.split("=", 1)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {launch} )")
    if arguments.login:
        structure, _ = Gst.Structure.from_string("viewer,media.factory.access=true,media.factory.construct=true")
        factory.add_role_from_structure(structure)
    server.get_mount_points().add_factory(path, factory)
if not server.attach(None):
    raise SystemExit(f"port {arguments.port} is taken")
print("ready", flush=True)
GLib.MainLoop().run()
