"""A Ray cluster: the connection to it, silent, and without statistics of usage."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from actionstream.models.common.errors import ActionstreamError

LOCAL = "local"
NAMESPACE = "actionstream"
ANSWER_SECONDS = 10.0
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # GPUs stay visible to actors that ask for none, as Ray will have it
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""For Ray, where the user has not set it: it sends nothing to its makers, and says little."""


@contextmanager
def cluster(address: str) -> Generator[str]:
    """Connected to a cluster: "local", one of this machine alone that ends with the program, or an address.

    Gives the address for others: HOST:PORT.
    """
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    _check_answer(address)
    where: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    try:
        with silent():
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **where,
            )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if "InvalidAuthToken" in str(error.__cause__):
            raise ActionstreamError(
                f"the Ray cluster at {address} asks for a token, in RAY_AUTH_TOKEN or ~/.ray/auth_token; the "
                "address auto finds a cluster of this machine without one"
            ) from error
        raise ActionstreamError(f"no Ray cluster answers at {address}: {' '.join(str(error).split())}") from error
    try:
        yield ray.get_runtime_context().gcs_address
    finally:
        with silent():
            ray.shutdown()


def _check_answer(address: str) -> None:
    """Raise ActionstreamError where nobody answers at HOST:PORT, for which Ray waits for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and not address.startswith("ray://"):
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except (OSError, OverflowError) as error:
            raise ActionstreamError(f"no Ray cluster answers at {address}: {error}") from error


@contextmanager
def silent() -> Generator[None]:
    """Without standard error, where Ray says that it says nothing, or that what is stopped is stopped."""
    before = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def own_environment() -> dict[str, str]:
    """What the driver was told by its environment and options, such as --max-pixels and --decoder, for all machines."""
    return {name: value for name, value in os.environ.items() if name.startswith("ACTIONSTREAM_")}
