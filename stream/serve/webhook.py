"""The sink for webhooks: each record is a POST."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from actionstream.models.common.errors import ActionstreamError, in_a_line
from actionstream.records import EventRecord
from actionstream.serve.delivery import SinkError
from actionstream.serve.store import Stored

REFUSALS = (400, 413, 422)
"""Answers that do not change when the same record comes again."""
MOST_TRIES = 5
"""The tries of a record that is refused with one of REFUSALS."""
MOST_BYTES = 65_536
"""A longer answer is not read; the connection is closed instead."""


class WebhookSink:
    """POSTs records as JSON to an address, one after another; an answer of 2xx takes a record.

    `Idempotency-Key` is the record's key: the same where a record comes twice. With a secret,
    `X-Actionstream-Signature` is "sha256=" and the HMAC of the body in hexadecimal digits. Redirects are not followed.

    name             of the webhook; the sink's is "webhook NAME"
    url              http or https, with USER:PASSWORD@ for basic authentication; no message shows more than its host
    timeout_seconds  for connecting, and for each part of an answer
    headers          further headers
    say              is told of a record that is given up, since the receiver refuses it for good
    given_up         the number of those

    Raises ActionstreamError where the address or a header cannot be sent.
    """

    def __init__(
        self,
        name: str,
        url: str,
        secret: str | None = None,
        timeout_seconds: float = 5.0,
        headers: Mapping[str, str] | None = None,
        *,
        say: Callable[[str], None],
    ):
        self.name = f"webhook {name}"
        self.given_up = 0
        self._say, self._secret, self._timeout_seconds = say, secret, timeout_seconds
        try:
            address = urlsplit(url)
            host, self._port = address.hostname, address.port
            (host or "").encode("idna")  # ValueError where DNS cannot have it
        except ValueError as error:
            raise ActionstreamError(f"the address of {self.name} cannot be read: expected https://host/path") from error
        if address.scheme not in ("http", "https") or not host or not _is_printable(url):
            raise ActionstreamError(f"the address of {self.name} cannot be used: expected https://host/path")
        self._host = host
        self._context = ssl.create_default_context() if address.scheme == "https" else None
        self._path = f"{address.path or '/'}{'?' if address.query else ''}{address.query}"
        self._shown = f"{address.scheme}://{host}"
        self._headers = {"User-Agent": "actionstream", "Content-Type": "application/json"}
        if address.username is not None:
            login = f"{unquote(address.username)}:{unquote(address.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
        for header, value in (headers or {}).items():
            if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", header, re.ASCII) or not re.fullmatch("[ -~\t]*", value):
                raise ActionstreamError(f"the header {header!r} of {self.name} cannot be sent: expected plain ASCII")
            self._headers[header] = value
        self._tries: tuple[str, int] = ("", 0)
        """The key of the record that was refused last, and how often."""

    def send(self, batch: Sequence[Stored]) -> int:
        """POST records until one is not taken; returns how many were. Raises SinkError where none was."""
        connection = self._connection()
        try:
            for taken, stored in enumerate(batch):
                failure = self._post(connection, stored.record)
                if failure is None:
                    continue
                if taken:
                    return taken
                raise SinkError(f"{self._shown} {failure}")
            return len(batch)
        finally:
            connection.close()

    def close(self) -> None:
        """Each `send` has a connection of its own."""

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=self._context)

    def _post(self, connection: http.client.HTTPConnection, record: EventRecord) -> str | None:
        """POST a record; returns why it was not taken."""
        body = json.dumps(record.to_dict(), ensure_ascii=False).encode()
        headers = {**self._headers, "Idempotency-Key": record.key}
        if self._secret is not None:
            digest = hmac.new(self._secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Actionstream-Signature"] = f"sha256={digest}"
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            if len(answer.read(MOST_BYTES)) == MOST_BYTES:
                connection.close()
        except OSError as error:
            return f"cannot be reached: {in_a_line(error)}"
        except http.client.HTTPException as error:
            return f"gives no answer of HTTP ({type(error).__name__})"
        if 200 <= answer.status < 300:
            return None
        failure = f"answers {answer.status}{_phrase(answer.status)}"
        return self._refused(record, failure) if answer.status in REFUSALS else failure

    def _refused(self, record: EventRecord, failure: str) -> str | None:
        """Count a refusal; None where the record is given up."""
        tries = self._tries[1] + 1 if self._tries[0] == record.key else 1
        self._tries = (record.key, tries)
        if tries < MOST_TRIES:
            return failure
        self.given_up += 1
        self._say(f"{self.name}: {self._shown} {failure} {tries} times; record {record.key} is given up")
        return None


def _is_printable(url: str) -> bool:
    return re.fullmatch("[!-~]+", url) is not None


def _phrase(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        return ""
    return f" ({phrase}{', which is not followed' if 300 <= status < 400 else ''})"
