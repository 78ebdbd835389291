"""What systemd is told of a service: https://www.freedesktop.org/software/systemd/man/sd_notify.html"""

from __future__ import annotations

import os
import socket


def sd_notify(state: str) -> bool:
    """Tell the service manager a state, such as "READY=1", "WATCHDOG=1" or "STOPPING=1".

    Returns whether it was told: there is none where NOTIFY_SOCKET is not set, and it may be gone.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1.0)
            sender.connect(address)
            sender.sendall(state.encode())
    except OSError:
        return False
    return True
