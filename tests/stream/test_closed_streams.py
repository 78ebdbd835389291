"""Standard input, output and error that are closed or full: no traceback, no hang, and the exit code is right."""

import shlex
import subprocess
import sys

import pytest

COMMAND = shlex.join([sys.executable, "-m", "actionstream"])


@pytest.mark.parametrize(
    ("rest", "code", "told"),
    [
        ("watch sample --json >&-", 0, ""),
        ("watch sample --save saved.mp4 >&- 2>&- <&-", 0, ""),
        ("label sample >&-", 0, ""),
        ("label sample nothing >&- 2>&- <&-", 1, ""),
        ("watch - <&-", 2, "actionstream: stdin is closed; expected a video on standard input\n"),
        ("watch - --json <&- >&- 2>&-", 2, ""),
        ("watch nothing 2>&-", 2, ""),
        ("watch nothing 2>/dev/full", 2, ""),
        ("watch sample --json | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("watch sample | head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
        ("watch sample --json >/dev/full", 1, "actionstream: JsonLines failed: No space left on device\n"),
        ("models >&-", 0, ""),
    ],
)
def test_streams_that_are_closed(tmp_path, rest, code, told):
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {rest}"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (code, told)
    if "label sample >&-" in rest:
        assert {path.name for path in tmp_path.iterdir()} == {"sample.json", "sample.png"}
    if "--save" in rest:
        assert (tmp_path / "saved.mp4").stat().st_size > 100_000
