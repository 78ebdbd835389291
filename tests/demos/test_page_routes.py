"""Handlers of the page, called as the server calls them."""

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from actionstream.demos.page.routes import Routes


@pytest.mark.parametrize("hangs_up", [False, True])
def test_who_hangs_up_while_waiting_loses_the_turn(hangs_up):
    looked = []
    card = SimpleNamespace(labels=())
    clip = SimpleNamespace(at=looked.append, hub=SimpleNamespace(engine=SimpleNamespace(card=card)))
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    messages += [{"type": "http.disconnect"}] if hangs_up else []

    async def receive():
        return messages.pop(0) if messages else await asyncio.Event().wait()

    async def look():
        finished = SimpleNamespace(clip=clip, turn=asyncio.Lock())
        routes = Routes(SimpleNamespace(finished=lambda token: finished))
        scope = {
            "type": "http",
            "method": "GET",
            "path_params": {"token": "x"},
            "query_string": b"time=3",
            "headers": [],
        }
        return (await routes.at(Request(scope, receive))).status_code

    assert asyncio.run(look()) == (404 if hangs_up else 200)
    assert looked == ([] if hangs_up else [3.0])
