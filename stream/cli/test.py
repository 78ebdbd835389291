"""The options of `test`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.messages import refuse
from actionstream.cli.options import Device, Json, MaxPixels, Runtime
from actionstream.models.common.limits import MAX_PIXELS


def test(
    model: Annotated[
        str, typer.Argument(help="A checkpoint or a run. motion is tested on rendered clips, unless --data is given.")
    ] = "motion",
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder with a folder of videos for each label.", show_default="the validation clips of the run"
        ),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(min=1, help="Clips of each video; for motion, of each set.", show_default="1; for motion 1000"),
    ] = None,
    crops: Annotated[int, typer.Option(min=1, help="Crops of each clip: 1 or 3.")] = 1,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of each clip.", show_default="as in training")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Test whole pictures; with 3 crops, three squares of the short side.")
    ] = False,
    online: Annotated[
        bool, typer.Option("--online", help="Measure the accuracy after each tenth of a video that is seen.")
    ] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="For motion: a folder of videos; the test clips move pictures of them.")
    ] = None,
    background: Annotated[
        Path | None, typer.Option(help="For motion: a folder of videos without action, to count false starts.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="For motion: write the figures into the checkpoint.")] = False,
    device: Device = "auto",
    runtime: Runtime = "auto",
    json: Json = False,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Measure the accuracy of a network on clips that it has not seen."""
    from actionstream.commands.test import is_motion, test_clips, test_motion

    for_motion = {"--pictures": pictures, "--background": background, "--write": write}
    for_motion["--runtime"] = runtime != "auto"
    for_others = {"--crops": crops > 1, "--frames": frames, "--full": full, "--online": online}
    for_others["--device"] = device != "auto"
    if data is None and is_motion(model):
        refuse(for_others, "is for your own clips, --data DIR; motion is tested on rendered clips")
        test_motion(
            model,
            runtime=runtime,
            num_clips=clips or 1000,
            pictures=pictures,
            background=background,
            write=write,
            as_json=json,
        )
    else:
        refuse(for_motion, "is for motion and its exports, without --data")
        test_clips(
            model,
            data=data,
            num_clips=clips or 1,
            num_crops=crops,
            num_frames=frames,
            full=full,
            online=online,
            device=device,
            as_json=json,
        )
