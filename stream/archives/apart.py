"""Does videos in a process of its own, which a video may crash, hang or fill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

from actionstream.archives.attempts import AttemptLog, Outcome
from actionstream.archives.job_text import write_job
from actionstream.archives.jobs import Job
from actionstream.models.common.errors import ActionstreamError
from actionstream.sources.address import masked

MOST_TRIES = 2
"""Of a video that ends its process. An error that is told is of the video, and comes again."""
OPEN_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """stall_seconds: the longest time without a frame; most_bytes: of the memory of a process."""

    stall_seconds: float
    most_bytes: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of a video.

    video    its path or its address, without secrets
    outcome  of the last attempt; "" where the results were there already
    tries    attempts that were made
    seconds  of the video that were done
    remarks  warnings about it
    """

    name: str
    video: str
    outcome: Outcome = ""
    reason: str = ""
    tries: int = 0
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()


class Apart:
    """Does one video after the other in a process, which is replaced where a video ends it.

    Raises ActionstreamError where the job itself cannot be opened.
    """

    def __init__(self, job: Job, folder: Path, limits: Limits):
        self._job = job
        self._folder = folder
        self._limits = limits
        self._log = AttemptLog(folder)
        self._process: _Process | None = None

    def __call__(self, name: str, video: str) -> Done:
        done = Done(name=name, video=masked(video))
        if self._job.is_done(self._folder, name):
            return done
        while done.outcome in ("", "hung", "died") and done.tries < MOST_TRIES:
            process = self._process = self._process or _Process(self._job, self._folder, self._limits)
            attempt = self._log.begin(name, done.tries + 1)
            done = replace(process.do(done, video), tries=done.tries + 1)
            self._log.end(attempt, done.outcome, done.reason)
            if done.outcome in ("hung", "died"):
                self._end_process()
        return done

    def close(self) -> None:
        self._end_process()
        self._log.close()

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.end()
            self._process = None


class _Process:
    def __init__(self, job: Job, folder: Path, limits: Limits):
        self._limits = limits
        self._wire, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "actionstream.archives.worker"]
        command += [str(theirs.fileno()), str(folder.resolve()), str(limits.most_bytes)]
        with theirs:
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to the program only
            )
        self._wire.send_bytes(write_job(job).encode())
        try:
            said = self._hear(OPEN_SECONDS)
        except EOFError:
            said = {"kind": "refused", "reason": f"the process for videos {self._death()} before it was ready"}
        if said is None or said["kind"] == "refused":
            self.end()
            raise ActionstreamError(said["reason"] if said else f"the model is not open after {OPEN_SECONDS:g} s")

    def do(self, done: Done, video: str) -> Done:
        try:
            self._wire.send_bytes(json.dumps({"video": video, "name": done.name}).encode())
            while (said := self._hear(self._limits.stall_seconds)) is not None:
                if said["kind"] == "done":
                    return replace(done, outcome="done", seconds=said["seconds"], remarks=tuple(said["remarks"]))
                if said["kind"] == "failed":
                    return replace(done, outcome="failed", reason=said["reason"], seconds=said["seconds"])
        except (EOFError, OSError):
            return replace(done, outcome="died", reason=f"{done.video}: the process that reads it {self._death()}")
        stalled = f"{done.video}: no frame for {self._limits.stall_seconds:g} s"
        return replace(done, outcome="hung", reason=stalled)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._wire.close()

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message; None where none comes in time, EOFError where the process has ended."""
        return json.loads(self._wire.recv_bytes()) if self._wire.poll(seconds) else None

    def _death(self) -> str:
        code = self._process.wait()
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
