"""What may be shown of an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionstream import SourceError, open_source
from actionstream.sources.address import masked, scheme


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://camera/stream", "rtsp://camera/stream"),
        ("rtsp://me:secret@camera:554/stream", "rtsp://camera:554/stream"),
        ("rtsp://me:sec/ret@camera/stream", "rtsp://***@camera/stream"),
        (
            "http://camera/video.mjpg?user=me&password=secret&size=2",
            "http://camera/video.mjpg?user=***&password=***&size=2",
        ),
        ("rtsp://camera/user=me_password=secret_channel=1.sdp", "rtsp://camera/user=***"),
        ("https://host/live.m3u8?token=secret#x", "https://host/live.m3u8?token=***#x"),
        ("rtsp://[::1/x", "rtsp://[::1/x"),
        ("film@home.mp4", "film@home.mp4"),
        ("http://camera/video?channel=2&u=me&p=secret", "http://camera/video?channel=2&u=***&p=***"),
        ("rtsp://me:secret%40camera/stream", "rtsp://camera/stream"),
    ],
)
def test_masked(address, shown):
    assert masked(address) == shown


@given(
    user=st.text(min_size=1),
    password=st.text(st.characters(exclude_characters="@"), min_size=1).map("Pa55".__add__),
    host=st.sampled_from(["camera", "10.0.0.1:554", "[::1]"]),
)
def test_no_password_is_shown(user, password, host):
    assert "Pa55" not in masked(f"rtsp://{user}:{password}@{host}/stream")
    assert "Pa55" not in masked(f"http://{host}/video?pwd=Pa55&x=1")


def test_scheme():
    assert [scheme(text) for text in ("RTSP://x", "C:/film.mp4", "0", "a/b://c")] == ["rtsp", None, None, None]


@pytest.mark.parametrize("text", ["rtsp:/me:secret@cam/x", "rtsp:\\\\me:secret@cam", "http:/me:secret@cam/x?a=1"])
def test_what_was_meant_to_be_an_address_is_not_shown(text):
    with pytest.raises(SourceError, match=r"^an address begins with (rtsp|http)://, as in (rtsp|http)://host/path$"):
        open_source(text)
    assert open_source("  rtsp://me:secret@cam/x ").name == "rtsp://cam/x"
