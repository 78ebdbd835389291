"""Print the events in front of a camera: python -m actionstream.demos.webcam [CAMERA]"""

import sys
from contextlib import suppress

from actionstream import watch


def main(camera: str = "0") -> None:
    """Print a line whenever a label starts or ends; Ctrl-C stops."""
    for prediction in watch(camera):
        for event in prediction.events:
            print(f"{event.time_seconds:8.2f} s  {event.label} {event.event}s ({event.score:.2f})", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
