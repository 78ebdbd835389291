"""The options of `evaluate`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from actionstream.choices import Challenge, EvaluationTask
from actionstream.cli.cluster import Gpus, MaxMemory, Ray, Stall, sharing_of
from actionstream.cli.messages import refuse, say
from actionstream.cli.options import Background, DeviceName, Json, MaxPixels
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.common.limits import MAX_PIXELS


def evaluate(
    challenge: Annotated[Challenge, typer.Argument(help="The challenge whose rules are followed.")],
    truth: Annotated[
        Path,
        typer.Option(
            help="The annotations: JSON in ActivityNet's layout, CSV with the columns video, start_seconds, "
            "end_seconds, label, or the folder of THUMOS14."
        ),
    ],
    results: Annotated[
        Path | None,
        typer.Option(
            help="The results: JSON in ActivityNet's layout, text of THUMOS14, or CSV with the columns video, "
            "start_seconds, end_seconds, label, score; the name may end in .gz. With --videos, the file to write.",
            show_default="with --videos results.json",
        ),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="A folder with the videos of the truth; they are labelled first, as label does.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="For --videos: a checkpoint by name or path, a run, or a file NAME.toml of networks to fuse.",
            show_default="motion",
        ),
    ] = None,
    background: Background = None,
    task: Annotated[EvaluationTask, typer.Option(help="The task of the challenge.")] = "detection",
    subset: Annotated[
        str | None,
        typer.Option(
            help="The subset of the truth, where it has subsets.",
            show_default="test of THUMOS14, validation of ActivityNet",
        ),
    ] = None,
    iou: Annotated[
        list[float] | None,
        typer.Option(
            help="A threshold of temporal IoU; may be given several times.", show_default="those of the challenge"
        ),
    ] = None,
    blocked: Annotated[
        str | None,
        typer.Option(
            help="A file that names videos to leave out, or the word mislabelled: three test videos of THUMOS14."
        ),
    ] = None,
    device: Annotated[
        DeviceName | None, typer.Option(help="For --videos: the network runs on this device.", show_default="auto")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="For --videos: a folder for a picture of each video, with its true segments and those announced live."
        ),
    ] = None,
    json: Json = False,
    max_pixels: MaxPixels = MAX_PIXELS,
    ray: Ray = None,
    stall: Stall = 300,
    max_memory: MaxMemory = None,
    gpus: Gpus = None,
) -> None:
    """Evaluate a file of results, or a model on videos, exactly as the evaluator of a challenge does.

    With --videos, the figures of two baselines follow. Both use the scores of the model: ten equal parts of a video
    with the labels of the whole video, and stretches of unsmoothed scores of 0.5 or more. The figures of online
    detection are last: of the segments that watch announces live. A file may have 512 MiB of
    text, unpacked (ACTIONSTREAM_MAX_TEXT_BYTES).
    """
    from actionstream.commands.evaluate import evaluate_results

    measure = evaluate_results
    if videos is None:
        if results is None:
            raise ActionstreamError("evaluate has no results; give --results FILE, or --videos DIR and a --model")
        for_videos = {
            "--model": model,
            "--background": background,
            "--device": device,
            "--pictures": pictures,
            "--ray": ray,
        }
        refuse(for_videos, "is for --videos, which are labelled first; leave it out for --results")
    else:
        sharing = sharing_of(ray, stall, max_memory, gpus)
        if pictures is not None:
            needs("pictures")

        from actionstream.commands.evaluate_videos import evaluate_videos

        measure = partial(
            evaluate_videos,
            videos=videos,
            model=model or "motion",
            background=background,
            device=device or "auto",
            pictures=pictures,
            sharing=sharing,
            say=say,
        )
    code = measure(
        challenge,
        results=results or Path("results.json"),
        truth=truth,
        task=task,
        subset=subset,
        iou_thresholds=iou or (),
        blocked=blocked,
        as_json=json,
    )
    raise typer.Exit(code)
