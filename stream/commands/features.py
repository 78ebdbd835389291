"""The command `features`: feature maps of long videos, for networks that learn from them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from rich.console import Console
from rich.progress import track

from actionstream.archives.features_job import FeaturesJob
from actionstream.archives.jobs import device_here
from actionstream.archives.on_ray import Sharing
from actionstream.choices import DeviceName
from actionstream.commands.archive import absolute, share
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.training.features import Extractor, write_features
from actionstream.models.training.folders import videos_under
from actionstream.models.training.left_out import LeftOut
from actionstream.models.video import FEATURES, SourceError, is_video


def extract_features(
    sources: Sequence[Path],
    target: Path,
    *,
    model: str,
    weights: Path | None,
    num_segments: int,
    shard: str,
    device: DeviceName,
    sharing: Sharing | None,
    say: Callable[[str], None],
) -> None:
    """Write the features of each video; the features of a folder of videos have the same tree under `target`.

    Existing files are kept; each write is atomic. At the end the videos that cannot be read are listed. With `sharing`
    the machines of a cluster do it, one core a process.
    """
    number, count = _shard(shard)
    files = _targets(sources)
    # the shard depends on the name only, not on other files
    mine = {name: video for name, video in files.items() if crc32(name.encode()) % count == number - 1}
    job = FeaturesJob(
        model=model,
        weights=None if weights is None else str(weights.resolve()),
        num_segments=num_segments,
        device=device,
        num_threads=None if sharing is None else 1,
    )
    extractor = job.extractor()
    extractor.settings.keep(target)
    if sharing is not None:
        names = {name.removesuffix(FEATURES): video for name, video in mine.items()}
        work = share(replace(job, model=absolute(model), device=device_here(device)), names, target, sharing, say=say)
        broken = [each.reason for each in work.failures]
        written = work.num_wanted - len(broken)
    else:
        broken, written = _write_each(extractor, mine, target)
    if mine and len(broken) == len(mine):
        raise ActionstreamError(f"none of the {len(mine)} videos can be read: {'; '.join(broken[:3])}")
    of_all = f" (part {shard} of {len(files)})" if count > 1 else ""
    were_there = len(mine) - written - len(broken)
    print(f"{target}: {written} of {len(mine)} videos written{of_all}, {were_there} were there")
    print(f"each is float16 {extractor.settings.shape}: segments, channels, height, width")
    for message in broken:
        print(f"left out: {message}")


def _write_each(extractor: Extractor, mine: Mapping[str, Path], target: Path) -> tuple[list[str], int]:
    """Why videos cannot be read, and the number of those that were written."""
    broken, written = [], 0
    for name, video in track(mine.items(), description="features", console=Console(stderr=True), transient=True):
        if (target / name).is_file():
            continue
        try:
            write_features(target / name, extractor(video))
            written += 1
        except SourceError as error:
            broken.append(str(error))
    return broken, written


def _targets(sources: Iterable[Path]) -> dict[str, Path]:
    """Videos and folders of frames, by the names of their feature files, in order."""
    found: dict[str, Path] = {}
    for source in sources:
        if not source.exists():
            raise ActionstreamError(f"no file or folder {source}")
        left_out = LeftOut()
        under = videos_under(source, left_out) if source.is_dir() else ()
        inside = [path for path in under if path.suffix != FEATURES]
        videos = inside or [path for path in [source] if is_video(path)]
        if not videos:
            what = f"{source} has no videos or folders of frames in it; expected files such as NAME.mp4"
            raise ActionstreamError("; ".join([what, *left_out.lines()]))
        for line in left_out.lines():
            print(line, file=sys.stderr)
        for video in videos:
            place = video.relative_to(source) if inside else Path(video.name)
            name = place.with_name((video.name if video.is_dir() else video.stem) + FEATURES).as_posix()
            if name in found:
                raise ActionstreamError(f"{found[name]} and {video} would both become {name}; give them other names")
            found[name] = video
    return dict(sorted(found.items()))


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise ActionstreamError(f"--shard is {text!r}; expected N/M such as 2/8, the second of eight parts")
    return number, count
