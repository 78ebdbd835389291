"""A file of a clip, while it is written."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path

from actionstream.clips.disk import File, MakeRoom
from actionstream.clips.encoder import RATE, TIME_BASE, Encoder
from actionstream.clips.parameter_sets import extradata_for
from actionstream.clips.paths import partial
from actionstream.clips.template import CODEC_IDS, open_template
from actionstream.models.video import Decoder, SourceError
from actionstream.packets import Packet

OPTIONS = {"movflags": "hybrid_fragmented+default_base_moof+negative_cts_offsets", "frag_duration": "1000000"}
"""A file that is cut off plays up to its last second; a closed one is an ordinary MP4."""

BUFFER_BYTES = 1 << 18  # each write costs a call from FFmpeg to Python


class ClipFile:
    """An MP4 of packets from a key frame on: those of H.264 and H.265 as they are, others encoded anew.

    Times in the file are those of the packets, counted from the first one: a gap between two connections of the camera
    stays as long as it was, so that the times of events can be found in the file. What does not increase is moved on
    by the least step, since MP4 cannot have it.

    The write is atomic: the packets go to NAME.partial.mp4, and `close` renames it.
    """

    def __init__(self, path: Path, first: Packet, make_room: MakeRoom):
        import av

        self.track = first.track
        self.start_seconds = first.time_seconds
        self._path = path
        self._last_dts: int | None = None
        self._leads = True  # whether the next packet may be a leading picture of the first key frame
        self._file = File(partial(path), make_room)
        self._container = av.open(self._file, "w", format="mp4", options=OPTIONS, buffer_size=BUFFER_BYTES)
        self._encoder: Encoder | None = None
        try:
            if self.copies:
                with closing(open_template(first.track, extradata_for(first))) as template:
                    self._stream = self._container.add_stream_from_template(template.streams.video[0], opaque=True)
                self._stream.time_base = TIME_BASE
            else:
                self._encoder = Encoder(first.track, self._container)
        except Exception:
            self.abandon()
            raise

    @property
    def copies(self) -> bool:
        """Whether packets are copied, and not encoded anew."""
        return self.track.codec in CODEC_IDS

    def push(self, packet: Packet) -> None:
        """Add a packet; OSError where it cannot be written."""
        import av

        shown = round((packet.time_seconds - self.start_seconds) * RATE)
        if self._leads and not packet.key:
            if shown < 0:
                return  # it is shown before the first key frame, and refers to pictures before that
            self._leads = False
        dts = shown - round((packet.time_seconds - packet.decode_seconds) * RATE)
        if self._last_dts is not None:
            dts = max(dts, self._last_dts + 1)
        self._last_dts = dts
        new = av.Packet(len(packet.data))
        new.update(packet.data)  # av.Packet(data) has no padding: a decoder would read what lies behind it in memory
        new.pts, new.dts, new.time_base = max(shown, dts), dts, TIME_BASE
        new.is_keyframe = packet.key
        if self._encoder is not None:
            self._container.mux(self._encoder.push(new))
        else:
            new.stream = self._stream
            self._container.mux(new)

    def close(self) -> None:
        """Finish the file; OSError where it cannot be written."""
        if self._encoder is not None:
            self._container.mux(self._encoder.push(None))
        self._container.close()
        self._file.close()
        os.replace(partial(self._path), self._path)

    def abandon(self) -> None:
        """End the file after an error: what plays of it stays."""
        with suppress(Exception):  # the same error again
            self._container.close()
        self._file.close()
        with suppress(OSError):
            finish(partial(self._path), self._path)


def finish(part: Path, path: Path) -> bool:
    """Rename a file that was cut off where it plays, else delete it; returns whether it plays."""
    try:
        with closing(Decoder(str(part), name=part.name)) as decoder:
            next(decoder.pictures())
    except (SourceError, StopIteration):
        part.unlink(missing_ok=True)
        return False
    os.replace(part, path)
    return True
