"""Follow a network camera through disconnects and reconnects: python -m actionstream.demos.rtsp ADDRESS [SECONDS]"""

import sys
from contextlib import suppress

from actionstream import Connection, Engine, Watch


def main(address: str, seconds: str = "inf") -> None:
    """Print events of labels and of the connection for `seconds` of the stream, then the counts of frames."""
    patient = Connection(stall_seconds=3.0, retries=10)
    with Watch(Engine(), connection=patient) as session:
        name = session.add(address)
        for update in session:
            if update.notice is not None:
                print(f"-- {update.notice.event}: {update.notice.reason or 'fine'}", flush=True)
            for event in update.events:
                print(f"{event.time_seconds:8.2f} s  {event.label} {event.event}s", flush=True)
            if update.frame is not None and update.frame.time_seconds > float(seconds):
                counts = session.counts(name)
                print(f"{counts.received} frames, {counts.labelled} labelled, dropped: {dict(counts.dropped)}")
                break


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
