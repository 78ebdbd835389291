"""A video file that is written while the labels go on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from actionstream.models.video.limits import QUEUE_BYTES
from actionstream.results import Update
from actionstream.sinks.video_file import VideoFile

QUEUE_FRAMES = 32


class SavedVideo:
    """Draws and encodes the frames of a stream in a thread of its own.

    The queue has QUEUE_FRAMES frames at most, and QUEUE_BYTES. Where it is full, a frame is dropped from the file if
    `drops` says so, else `push` waits. The labels go on without the file where it cannot be written.

    drops  whether frames are dropped, as of a camera, which does not wait
    fail   takes the error that ended the file; called by the thread
    say    shows a line of text to the user
    """

    def __init__(
        self,
        file: VideoFile,
        *,
        drops: Callable[[], bool],
        fail: Callable[[Exception], None],
        say: Callable[[str], None],
    ):
        self._file = file
        self._drops = drops
        self._fail = fail
        self._say = say
        self._waiting: deque[Update] = deque()
        self._num_bytes = 0  # of the frames that wait
        self._num_dropped = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"writer of {file.path}", daemon=True)
        self._thread.start()

    def push(self, update: Update) -> None:
        """Let the frame of an update be written."""
        if update.frame is None:
            return
        num_bytes = update.frame.num_bytes
        with self._changed:
            while self._is_full(num_bytes) and not self._ended:
                if self._drops():
                    self._num_dropped += 1
                    return
                self._changed.wait()
            if not self._ended:
                self._waiting.append(update)
                self._num_bytes += num_bytes
                self._changed.notify_all()

    def close(self) -> None:
        """No frame comes any more; `join` waits for the end of the file."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait until the file is finished, after `close`."""
        self._thread.join()

    @property
    def finished(self) -> bool:
        return not self._thread.is_alive()

    def _is_full(self, num_bytes: int) -> bool:
        too_many = len(self._waiting) >= QUEUE_FRAMES or self._num_bytes + num_bytes > QUEUE_BYTES
        return bool(self._waiting) and too_many

    def _run(self) -> None:
        try:
            while (update := self._take()) is not None:
                self._file.push(update)
            self._file.close()
        except Exception as error:  # noqa: BLE001  the labels go on without the file
            self._file.discard()
            self._fail(error)
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._num_dropped:
            self._say(f"{self._file.path} lacks {self._num_dropped:,} frames: they came faster than they were encoded")

    def _take(self) -> Update | None:
        """Wait for the next frame; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            if not self._waiting:
                return None
            update = self._waiting.popleft()
            assert update.frame is not None
            self._num_bytes -= update.frame.num_bytes
            self._changed.notify_all()
            return update
