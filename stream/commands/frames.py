"""The command `frames`: videos as folders of pictures, for training that decoding would slow down."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.progress import track

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import cannot_write
from actionstream.models.training.folders import videos_under
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import FEATURES, RATE_FILE, SourceError, every_frame, index_of

QUALITY = 95


def extract_frames(source: Path, target: Path, *, short_side: int | None, max_repeats: int) -> None:
    """Write each video under `source` as a folder of 00001.jpg, 00002.jpg ... in the same place under `target`.

    The folder has the frame rate, too, so that its clips are the same as the clips of the video.

    Existing folders are kept; each folder is written atomically. At the end the videos that cannot be read are listed.
    """
    if not source.is_dir():
        raise ActionstreamError(f"{source} is no folder; give the folder that the videos are in")
    left_out = LeftOut()
    videos = [path for path in videos_under(source, left_out) if path.is_file() and path.suffix != FEATURES]
    if not videos:
        what = f"{source} has no videos in it; expected files such as NAME.mp4"
        raise ActionstreamError("; ".join([what, *left_out.lines()]))
    for line in left_out.lines():
        print(line, file=sys.stderr)
    if target.resolve().is_relative_to(source.resolve()):
        raise ActionstreamError(f"{target} is inside {source}; write the frames to another folder")
    folders: dict[Path, Path] = {}
    for video in videos:
        folder = target / video.relative_to(source).with_suffix("")
        if folder in folders:
            raise ActionstreamError(
                f"{video} and {folders[folder]} would both be written to {folder}; rename one of them"
            )
        folders[folder] = video
    broken, written = [], 0
    remarks: set[str] = set()
    console = Console(stderr=True)
    for folder, video in track(folders.items(), "frames", len(folders), console=console, transient=True):
        if folder.is_dir():
            continue
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _extract(video, partial, short_side, max_repeats, remarks)
            os.replace(partial, folder)
            written += 1
        except SourceError as error:
            broken.append(str(error))
        except OSError as error:
            raise cannot_write(folder, error) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    print(f"{target}: {written} of {len(videos)} videos written, {len(videos) - written - len(broken)} were there")
    for remark in sorted(remarks):
        print(remark)
    for message in broken:
        print(f"left out: {message}")


def _extract(video: Path, folder: Path, short_side: int | None, max_repeats: int, remarks: set[str]) -> None:
    (folder / RATE_FILE).write_text(f"{index_of(video).rate}\n", encoding="utf-8")
    for number, frame in enumerate(every_frame(video, most_repeats=max_repeats, remarks=remarks), start=1):
        picture = Image.fromarray(frame)
        if short_side is not None and min(picture.size) > short_side:
            ratio = short_side / min(picture.size)
            picture = picture.resize([round(length * ratio) for length in picture.size], Image.Resampling.BILINEAR)
        data = io.BytesIO()  # Pillow does not notice that only a part of a file is written
        picture.save(data, "JPEG", quality=QUALITY)
        (folder / f"{number:05}.jpg").write_bytes(data.getbuffer())
