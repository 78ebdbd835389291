"""The command line."""

from __future__ import annotations

import io
import os
import sys
import traceback
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from actionstream.cli import signals
from actionstream.cli.bench import bench
from actionstream.cli.choices import (
    Challenge,
    Device,
    EvaluationTask,
    ExportTarget,
    FlowMethod,
    Modality,
    Policy,
    RuntimeName,
    Subtitles,
    Takes,
    TrainedShift,
    Transport,
)
from actionstream.models.errors import ActionstreamError

app = typer.Typer(
    name="actionstream",
    help="Label what happens in a video, frame by frame, as it comes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(bench, name="bench")


@app.callback()
def _root() -> None:
    pass


@app.command(
    epilog="Exit codes: 0 the sources ended, 1 one ended before its time, 2 bad input, 3 a fault of ours, "
    "130 Ctrl-C, 143 SIGTERM."
)
def watch(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="A video file, a folder or glob of images, an address such as rtsp://camera/stream or "
            "http://host/film.mp4, a camera number such as 0, - for a video on standard input, or sample, the clip "
            "that comes with the package.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="A checkpoint by its name (see `models`) or path, a file NAME.toml of several to fuse, or, with "
            "--weights, a network."
        ),
    ] = "motion",
    weights: Annotated[Path | None, typer.Option(help="A file with another project's weights for the network.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="For --weights: a file with a label a line, or a list such as kinetics400.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the video with the labels drawn in, as MP4; a folder where there are several."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Show it in a window; q ends.")] = False,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Keep segments, and what the whole video shows (live: the last minute).")
    ] = False,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Stop after this many frames of a source.")] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    runtime: Annotated[
        RuntimeName,
        typer.Option(help="What runs it; auto: the fastest that is there, and gives the same scores."),
    ] = RuntimeName.auto,
    threads: Annotated[int | None, typer.Option(min=1, help="Of the network, on a CPU.", show_default="a few")] = None,
    threshold: Annotated[float, typer.Option(help="From this smoothed score on a label is an event, 0 to 1.")] = 0.6,
    top: Annotated[int, typer.Option(min=1, help="How many labels to tell.")] = 5,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a file at its own speed.")] = False,
    rate: Annotated[
        float | None,
        typer.Option(help="Frames a second of a folder of images.", show_default="what its rate.txt says, else 30"),
    ] = None,
    watch_list: Annotated[
        Path | None,
        typer.Option(
            help="A file with a source a line (SOURCE or SOURCE as NAME), followed as lines come and go. The last "
            "' as ' begins the name, unless the whole line is a path that is there."
        ),
    ] = None,
    policy: Annotated[
        Policy,
        typer.Option(help="newest drops frames that come too fast, every waits; auto: newest for live sources."),
    ] = Policy.auto,
    retries: Annotated[
        int | None,
        typer.Option(min=0, help="How often a live source is tried again; 0: not at all.", show_default="no end"),
    ] = None,
    transport: Annotated[Transport, typer.Option(help="Of RTSP.")] = Transport.tcp,
    open_timeout: Annotated[float, typer.Option(help="Seconds for the first frame of a live source.")] = 10.0,
    read_timeout: Annotated[float, typer.Option(help="Seconds without data from it.")] = 3.0,
    stall_timeout: Annotated[float, typer.Option(help="Seconds without a frame from it.")] = 5.0,
) -> None:
    """Label the frames of each SOURCE as they arrive, all in one batch."""
    from actionstream.commands.watch import watch_sources
    from actionstream.engine.engine import Engine
    from actionstream.engine.fusion import open_scorer
    from actionstream.models.labels import read_labels
    from actionstream.sources.connection import Connection

    if not sources and watch_list is None:
        raise ActionstreamError("nothing to watch: give a SOURCE, such as sample or 0, or --watch-list FILE")

    def open_engine() -> Engine:
        loading: dict[str, Any] = {"weights": weights, "labels": labels and read_labels(labels)}
        scorer = open_scorer(
            model,
            runtime=runtime.value,
            device=device.value,
            num_threads=threads,
            export_meanwhile=True,
            **{name: value for name, value in loading.items() if value is not None},
        )
        return Engine(scorer, threshold=threshold)

    connection = Connection(
        open_seconds=open_timeout,
        read_seconds=read_timeout,
        stall_seconds=stall_timeout,
        retries=retries,
        transport=transport.value,
    )
    code = watch_sources(
        sources or [],
        engine=open_engine,
        watch_list=watch_list,
        rate=rate,
        as_json=json,
        save=save,
        show=show,
        timeline=timeline,
        threshold=threshold,
        top=top,
        say=_say,
        policy=policy.value,
        connection=connection,
        realtime=realtime,
        max_frames=max_frames,
    )
    raise typer.Exit(code)


@app.command(
    epilog="Exit codes: 0 all were labelled, 1 some were not or ended before their time, 2 none or bad input, 3 a "
    "fault of ours, 130 Ctrl-C, 143 SIGTERM."
)
def label(
    videos: Annotated[
        list[str],
        typer.Argument(metavar="VIDEO...", help="A video file, or a folder of images, or sample."),
    ],
    out: Annotated[
        Path, typer.Option(help="A folder for what is written.", show_default="the working folder")
    ] = Path(),
    model: Annotated[
        str, typer.Option(help="A checkpoint or a run, or a file NAME.toml of several to fuse, as in watch.")
    ] = "motion",
    subtitles: Annotated[Subtitles | None, typer.Option(help="Write the segments as subtitles, too.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="And as a table that evaluate reads.")] = False,
    scores: Annotated[bool, typer.Option("--scores", help="And the scores of all frames, NAME.npz.")] = False,
    threshold: Annotated[
        float,
        typer.Option(help="From this score on a segment is on the screen and in subtitles; JSON and CSV have all."),
    ] = 0.3,
    background: Annotated[
        str | None,
        typer.Option(
            help="The label that means nothing happens; it has no segments.",
            show_default="background, where there is one",
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
) -> None:
    """What happens when in each VIDEO: its segments (NAME.json) and a picture of its timeline (NAME.png)."""
    from actionstream.commands.label import label_files

    code = label_files(
        videos,
        model=model,
        device=device.value,
        background=background,
        folder=out,
        subtitle=None if subtitles is None else subtitles.value,
        table=csv,
        scores=scores,
        threshold=threshold,
        say=_say,
    )
    raise typer.Exit(code)


@app.command()
def demo(
    model: Annotated[
        str, typer.Option(help="A checkpoint or a run, or a file NAME.toml of several to fuse.")
    ] = "motion",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    runtime: Annotated[
        RuntimeName,
        typer.Option(help="What runs it; auto: the fastest that is there, and gives the same scores."),
    ] = RuntimeName.auto,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=1, max=65535, show_default="from 7860 on, the first free one")] = None,
    share: Annotated[
        bool, typer.Option("--share", help="Let the world in for a while, through a tunnel of gradio's makers.")
    ] = False,
    max_megabytes: Annotated[float, typer.Option(help="The largest video that may be uploaded.")] = 200,
    max_minutes: Annotated[float, typer.Option(help="The longest.")] = 10,
    max_height: Annotated[int, typer.Option(min=16, help="And the most lines that its picture may have.")] = 1440,
    max_stored_megabytes: Annotated[float, typer.Option(help="The most that uploads of all visitors take.")] = 4000,
    max_model_megabytes: Annotated[
        float, typer.Option(help="The most memory that a visitor's checkpoint takes with one stream.")
    ] = 500,
    max_pages: Annotated[int, typer.Option(min=1, help="The most pages that are open at once.")] = 128,
    max_pages_per_client: Annotated[int, typer.Option(min=1, help="And those of one client address.")] = 16,
    max_streams: Annotated[int, typer.Option(min=1, help="The most live streams.")] = 32,
    max_streams_per_client: Annotated[int, typer.Option(min=1, help="And those of one client address.")] = 8,
    silent_seconds: Annotated[
        float, typer.Option(help="A live stream whose page sends no frame for so long loses its place.")
    ] = 20,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Let visitors give addresses of this machine and its own network."),
    ] = False,
    root_path: Annotated[
        str, typer.Option(help="Where a proxy in front of the page has it, such as /actionstream.")
    ] = "",
    proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="A proxy in front of the page, whose X-Forwarded headers are true."),
    ] = None,
) -> None:
    """Open the web page: your camera or an address live, videos, two models side by side."""
    from actionstream.demos.page.server import serve
    from actionstream.demos.page.site import Limits

    limits = Limits(
        max_megabytes=max_megabytes,
        max_minutes=max_minutes,
        max_height=max_height,
        max_stored_megabytes=max_stored_megabytes,
        max_model_megabytes=max_model_megabytes,
        max_pages=max_pages,
        max_pages_per_client=max_pages_per_client,
        max_streams=max_streams,
        max_streams_per_client=max_streams_per_client,
        silent_seconds=silent_seconds,
        allow_private=allow_private,
    )
    serve(
        model=model,
        runtime=runtime.value,
        device=device.value,
        host=host,
        port=port,
        share=share,
        root_path=root_path,
        proxies=proxy or (),
        limits=limits,
        say=_say,
    )


@app.command()
def sources() -> None:
    """List the cameras that are attached here."""
    from actionstream.sources.camera import attached_cameras

    cameras = attached_cameras()
    for number, what in cameras:
        print(f"{number}\t{what}")
    if not cameras:
        _say("no camera is attached here; a source can also be a file, an address such as rtsp://camera/stream, or -")


@app.command()
def record(
    label: Annotated[str, typer.Argument(help="What happens in the clips.")],
    camera: Annotated[str, typer.Option(help="A camera number, or any SOURCE of watch.")] = "0",
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder, which gets one for each label.")] = Path(
        "videos"
    ),
    clips: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    seconds: Annotated[float, typer.Option(help="How long each is.")] = 2.0,
    pause: Annotated[float, typer.Option(help="Seconds before each.")] = 1.5,
) -> None:
    """Record clips of a LABEL of your own, for train --data."""
    from actionstream.commands.record import record_clips

    record_clips(label, source=camera, folder=output, num_clips=clips, seconds=seconds, pause_seconds=pause)


@app.command()
def frames(
    videos: Annotated[Path, typer.Argument(help="A folder with videos, in folders of any depth.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the same tree of folders of pictures.")],
    short_side: Annotated[int | None, typer.Option(min=16, help="Make them this small, in pixels.")] = None,
) -> None:
    """Extract the frames of VIDEOS once, where training reads them many times."""
    from actionstream.commands.frames import extract_frames

    extract_frames(videos, output, short_side=short_side)


@app.command()
def features(
    videos: Annotated[
        list[Path], typer.Argument(metavar="VIDEO...", help="Video files, or folders of them or of folders of frames.")
    ],
    model: Annotated[str, typer.Option(help="A checkpoint, whose trunk is taken, or with --weights a network.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder for the same tree of files of features.")],
    weights: Annotated[Path | None, typer.Option(help="A file with another project's weights for the network.")] = None,
    segments: Annotated[int, typer.Option(min=1, help="Spread evenly over each video.")] = 128,
    shard: Annotated[str, typer.Option(help="Do one part of the videos, such as 2/8.")] = "1/1",
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
) -> None:
    """Make features of long videos, a map of each segment, for train --model timeception.

    A segment is 8 successive frames, or a single one where the network looks at no others.
    """
    from actionstream.commands.features import extract_features

    extract_features(
        videos,
        output,
        model=model,
        weights=weights,
        num_segments=segments,
        shard=shard,
        device=device.value,
    )


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="A network or a published checkpoint, in detail.")] = None,
) -> None:
    """The networks of the catalogue with what each costs, and the checkpoints that `watch --model` takes by name.

    Input is frames x height x width, state what a live stream keeps; those that do not stream run in a window. A
    published checkpoint is downloaded when it is first used.
    """
    from actionstream.commands.models import print_network, print_table

    if name is None:
        print_table()
    else:
        print_network(name)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="Another project's weights: safetensors, or what torch.save wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The checkpoint to write.")],
    project: Annotated[
        str, typer.Option("--from", help="Whose: a project such as tsm, mmaction2 or torchvision.")
    ] = "auto",
    network: Annotated[
        str | None, typer.Option("--model", help="The network of `models`, where several have the same weights.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="A file with a label a line, or a list such as kinetics400.")
    ] = None,
    modality: Annotated[Modality | None, typer.Option(help="What goes in, if the channels do not tell.")] = None,
    flow_method: Annotated[
        FlowMethod, typer.Option(help="For flow; tvl1 needs opencv-contrib-python.")
    ] = FlowMethod.dis,
    interval: Annotated[float | None, typer.Option(help="Seconds between the frames of training.")] = None,
    num_frames: Annotated[int | None, typer.Option(min=1, help="Of a clip, for networks that need clips.")] = None,
    many_labels: Annotated[bool, typer.Option("--many-labels", help="Several may be right at once.")] = False,
    trained_shift: Annotated[
        TrainedShift | None, typer.Option(help="How it was trained, if that is not what its project does.")
    ] = None,
) -> None:
    """Make a checkpoint of another project's weights, for `watch --model`; nothing in them is executed."""
    from actionstream.commands.convert import convert_file

    convert_file(
        file,
        output,
        network=network,
        project=project,
        labels=labels,
        modality=modality and modality.value,
        flow_method=flow_method.value,
        interval_seconds=interval,
        num_frames=num_frames,
        activation="sigmoid" if many_labels else None,
        trained_shift=trained_shift and trained_shift.value,
    )


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(help="motion, ut-interaction, arrow-of-time, ut-untrimmed, timeception.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; for motion and ut-untrimmed the checkpoint."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder with a folder of videos, or of folders of frames, for each label.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A network of `models`.", show_default="tsm_mobilenet_v2")] = None,
    shift: Annotated[
        TrainedShift | None, typer.Option(help="uni streams with a memory; none is the same network without.")
    ] = None,
    modality: Annotated[
        Modality | None, typer.Option(help="What the network sees, if other than it was made for.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="A checkpoint to start from, such as mobilenet-v2-imagenet.")
    ] = None,
    teacher: Annotated[str | None, typer.Option(help="A checkpoint to be followed beside the labels.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Rounds through all clips.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Clips of a step, of all processes.")] = None,
    size: Annotated[int | None, typer.Option(min=32, help="Height and width of the input.")] = None,
    format: Annotated[
        str | None,
        typer.Option(help="Of the data: folders, ucf101, hmdb51, list, kinetics ...", show_default="folders"),
    ] = None,
    training: Annotated[Path | None, typer.Option(help="List or annotations of the clips to learn from.")] = None,
    validation: Annotated[Path | None, typer.Option(help="Of those to test on after each epoch.")] = None,
    labels: Annotated[str | None, typer.Option(help="A file with a label a line, or a list such as ucf101.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting, such as optimisation.mixup=0.2."),
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="The folder of a run to go on with.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of a recipe.", show_default="its own")] = None,
    seed: Annotated[int, typer.Option(min=0, help="All randomness comes from it.")] = 0,
    device: Annotated[Device, typer.Option(help="Where the network is trained.")] = Device.auto,
    workers: Annotated[int, typer.Option(min=0, help="Processes that read or render clips, or train folds.")] = 1,
) -> None:
    """Train a network on videos, for `watch --model`; a run is a folder, and can be gone on with at any time.

    On several GPUs: torchrun --nproc-per-node 8 -m actionstream.cli.main train ...
    """
    from actionstream.commands import train as training_commands
    from actionstream.commands.recipes import train_recipe
    from actionstream.models.training import distributed
    from actionstream.models.training.data import Data
    from actionstream.runtimes.eager import choose_device

    with distributed.joined(choose_device(device.value).type):
        if resume is not None:
            where = {"a recipe": recipe, "--data": data, "--format": format, "-o": output}
            clips = {"--training": training, "--validation": validation, "--labels": labels}
            network = {"--model": model, "--shift": shift, "--modality": modality, "--start": start}
            how = {"--teacher": teacher, "--epochs": epochs, "--batch-size": batch_size, "--steps": steps}
            _refuse(
                "is of a run that begins; one that is gone on with has its own settings",
                {**where, **clips, **network, **how, "--size": size, "--set": changes},
            )
            training_commands.resume(resume, device=device.value, workers=workers)
            return
        if output is None or (recipe is None and data is None):
            raise ActionstreamError(
                "give what to learn from, --data DIR or a recipe, and where to write, -o; or --resume RUN"
            )
        if recipe is not None:
            train_recipe(
                recipe,
                output,
                data=data,
                model=model,
                shift=shift and shift.value,
                modality=modality,
                start=start,
                teacher=teacher,
                steps=steps,
                epochs=epochs,
                batch_size=batch_size,
                size=size,
                format=format,
                training=training,
                validation=validation,
                labels=labels,
                set=changes,
                seed=seed,
                device=device.value,
                workers=workers,
            )
            return
        _refuse("is of recipes; give --epochs", {"--steps": steps})
        chosen = Data(
            root=str(data),
            format=format or "folders",  # type: ignore[arg-type]  # checked there
            training=None if training is None else str(training),
            validation=None if validation is None else str(validation),
            labels=labels,
            seed=seed,
        )
        training_commands.train_clips(
            output,
            data=chosen,
            model=model or "tsm_mobilenet_v2",
            shift=shift and shift.value,
            modality=modality and modality.value,  # type: ignore[arg-type]  # those of ModalityName
            size=size,
            changes=changes or (),
            device=device.value,
            workers=workers,
            start=start,
            teacher=teacher,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
        )


@app.command(name="export")
def export_(
    model: Annotated[str, typer.Argument(help="A checkpoint or a run, or with --weights a network.")],
    output: Annotated[Path, typer.Option("-o", help="The file: .onnx, .xml for OpenVINO, .pt2 for torch-export.")],
    to: Annotated[ExportTarget, typer.Option(help="Its format.")] = ExportTarget.onnx,
    int8: Annotated[bool, typer.Option("--int8", help="Weights and activations in 8 bits.")] = False,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            help="For --int8: a video like those that it will see; may be given several times.", show_default="sample"
        ),
    ] = None,
    takes: Annotated[
        Takes,
        typer.Option(
            help="What goes in: pixels of the size that the network wants, pictures of any size, or frames that are "
            "normalised."
        ),
    ] = Takes.pixels,
    chunk: Annotated[int, typer.Option(min=1, help="Snippets in a call; watch takes files with one.")] = 1,
    weights: Annotated[Path | None, typer.Option(help="A file with another project's weights for the network.")] = None,
    labels: Annotated[
        str | None, typer.Option(help="For --weights: a file with a label a line, or a list such as kinetics400.")
    ] = None,
) -> None:
    """Write a checkpoint as a file that runs elsewhere: `watch --model` takes it, and so do programs without torch."""
    from actionstream.commands.export import export_checkpoint
    from actionstream.models.labels import read_labels

    loading = {"weights": weights, "labels": labels and read_labels(labels)}
    export_checkpoint(
        model,
        output,
        to=to.value,
        takes=takes.value,
        chunk=chunk,
        int8=int8,
        calibrate=calibrate or (),
        **{name: value for name, value in loading.items() if value is not None},
    )


@app.command()
def test(
    model: Annotated[
        str, typer.Argument(help="A run, or a checkpoint; motion is tested on rendered clips.")
    ] = "motion",
    data: Annotated[
        Path | None, typer.Option(help="A folder with a folder of videos for each label; else those a run held out.")
    ] = None,
    clips: Annotated[int | None, typer.Option(min=1, help="Of each video; of each set for motion.")] = None,
    crops: Annotated[int, typer.Option(min=1, help="Of each clip: 1 or 3.")] = 1,
    frames: Annotated[int | None, typer.Option(min=1, help="Of each clip, if other than in training.")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Whole pictures, not cropped; with 3 crops, squares of their short side.")
    ] = False,
    pictures: Annotated[Path | None, typer.Option(help="motion: folder of videos to take real pictures from.")] = None,
    background: Annotated[
        Path | None, typer.Option(help="motion: folder of videos in which nothing happens, for false starts.")
    ] = None,
    online: Annotated[bool, typer.Option("--online", help="How right it is when how much has been seen.")] = False,
    write: Annotated[bool, typer.Option("--write", help="motion: keep the figures in the checkpoint.")] = False,
    device: Annotated[Device, typer.Option(help="Where the network runs.")] = Device.auto,
    runtime: Annotated[RuntimeName, typer.Option(help="motion: what runs it.")] = RuntimeName.auto,
    json: Annotated[bool, typer.Option("--json", help="The figures as JSON.")] = False,
) -> None:
    """Measure a network on clips it has not seen."""
    from actionstream.commands.test import is_motion, test_clips, test_motion

    of_motion = {"--pictures": pictures, "--background": background, "--write": write}
    of_motion["--runtime"] = runtime.value != "auto"
    of_others = {"--crops": crops > 1, "--frames": frames, "--full": full, "--online": online}
    of_others["--device"] = device.value != "auto"
    if data is None and is_motion(model):
        _refuse("is for clips of one's own, --data DIR; motion is tested on rendered ones", of_others)
        test_motion(
            model,
            runtime=runtime.value,
            num_clips=clips or 1000,
            pictures=pictures,
            background=background,
            write=write,
            as_json=json,
        )
    else:
        _refuse("is for motion and exports of it", of_motion)
        test_clips(
            model,
            data=data,
            num_clips=clips or 1,
            num_crops=crops,
            num_frames=frames,
            full=full,
            online=online,
            device=device.value,
            as_json=json,
        )


@app.command()
def evaluate(
    challenge: Annotated[Challenge, typer.Argument(help="Whose rules count.")],
    truth: Annotated[
        Path, typer.Option(help="ActivityNet's JSON, or for THUMOS14 the folder with its annotations, too.")
    ],
    results: Annotated[
        Path | None,
        typer.Option(
            help="What was found: ActivityNet's JSON, THUMOS14's text, or a table (CSV) with video, start_seconds, "
            "end_seconds, label, score; with gzip too. With --videos the file to write.",
            show_default="with --videos results.json",
        ),
    ] = None,
    videos: Annotated[
        Path | None, typer.Option(help="A folder with videos of the truth, which are labelled first, as label does.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="For --videos: a checkpoint, a run, or a file NAME.toml.", show_default="motion"),
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="For --videos: the label that means nothing happens.", show_default="background, where there is one"
        ),
    ] = None,
    task: Annotated[EvaluationTask, typer.Option(help="What was to be found.")] = EvaluationTask.detection,
    subset: Annotated[
        str | None, typer.Option(help="Of the truth.", show_default="test of THUMOS14, validation of ActivityNet")
    ] = None,
    iou: Annotated[
        list[float] | None,
        typer.Option(help="A threshold; may be given several times.", show_default="those of the challenge"),
    ] = None,
    blocked: Annotated[
        str | None,
        typer.Option(help="A file with videos to leave out, or mislabelled: three test videos of THUMOS14."),
    ] = None,
    device: Annotated[
        Device | None, typer.Option(help="For --videos: where the network runs.", show_default="auto")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The figures as JSON, with those of each class.")] = False,
) -> None:
    """Measure a file with results, or a model on videos, exactly as the evaluator of a challenge does.

    With --videos two simple detectors stand beside, made of the same scores: ten equal parts of a video with the labels
    that it has as a whole, and stretches of raw scores of 0.5 or more.
    """
    from actionstream.commands.evaluate import evaluate_results

    if videos is None and results is None:
        raise ActionstreamError("nothing to evaluate: give --results FILE, or --videos DIR and a --model")
    of_videos = {"--model": model, "--background": background, "--device": device}
    unused = [name for name, value in of_videos.items() if value is not None]
    if videos is None and unused:
        raise ActionstreamError(
            f"{unused[0]} is for --videos, which are labelled first; for --results alone leave it out"
        )
    measure = evaluate_results
    if videos is not None:
        from actionstream.commands.evaluate_videos import evaluate_videos

        measure = partial(
            evaluate_videos,
            videos=videos,
            model=model or "motion",
            background=background,
            device=(device or Device.auto).value,
            say=_say,
        )
    code = measure(
        challenge.value,
        results=results or Path("results.json"),
        truth=truth,
        task=task.value,
        subset=subset,
        iou_thresholds=iou or (),
        blocked=blocked,
        as_json=json,
    )
    raise typer.Exit(code)


def _refuse(why: str, options: Mapping[str, object]) -> None:
    """ValueError where one of them was given, by its name."""
    for name, value in options.items():
        if value:
            raise ActionstreamError(f"{name} {why}")


def _say(message: str) -> None:
    print(f"actionstream: {message}", file=sys.stderr)


def main() -> None:
    """Run the command line; every error and every warning is one line."""
    warnings.formatwarning = lambda message, *_: f"actionstream: {' '.join(str(message).split())}\n"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name may have letters that the other side has not
            stream.reconfigure(errors="backslashreplace")
    try:
        with signals.raised():
            app()
    except signals.Stopped as stopped:
        sys.exit(stopped.exit_code)
    except Exception as error:  # noqa: BLE001  it is told, and with a code of its own
        from actionstream.models.errors import is_mistake, where

        if os.environ.get("ACTIONSTREAM_TRACEBACK"):
            traceback.print_exception(error)
        if is_mistake(error):
            _say(" ".join(str(error).split()))
            sys.exit(2)
        what = " ".join(f"{type(error).__name__}: {error}".split())
        place = f" in {where(error)}" if where(error) else ""
        _say(f"a fault in actionstream{place}, please report it: {what} (ACTIONSTREAM_TRACEBACK=1 shows the way)")
        sys.exit(3)


if __name__ == "__main__":
    main()
