"""What systemd is told."""

import os
import socket

import pytest

from actionstream.serve.notify import sd_notify


@pytest.mark.parametrize("abstract", [False, True])
def test_states_arrive(tmp_path, monkeypatch, abstract):
    address = f"@actionstream-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        manager.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert sd_notify("READY=1\nSTATUS=8 cameras, Tür")
        assert manager.recv(1000).decode() == "READY=1\nSTATUS=8 cameras, Tür"
        assert sd_notify("WATCHDOG=1")
        assert manager.recv(1000) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "/not/there", "@nobody listens here", "/" + "long" * 100])
def test_nothing_happens_where_nobody_listens(monkeypatch, address):
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not sd_notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert not sd_notify("READY=1")


def test_a_manager_that_does_not_read_holds_nobody_up(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        told = 0
        while sd_notify("WATCHDOG=1"):
            told += 1
            assert told < 10_000
        assert told > 0
