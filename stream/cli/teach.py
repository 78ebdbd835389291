"""The options of `teach`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from actionstream.cli.messages import refuse, say
from actionstream.cli.options import FalseStarts
from actionstream.cli.watch import watch
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs

EXIT_CODES = (
    "Exit codes: 0 the model is written, 1 too but the camera ended too early, 2 bad input, 3 a fault in actionstream, "
    "130 Ctrl-C, 143 SIGTERM."
)


class TeachCommand(TyperCommand):
    """A command whose --add takes two words, and may be given several times: typer has no type for that."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        next(parameter for parameter in self.params if parameter.name == "add").nargs = 2


def teach(
    model: Annotated[
        str | None, typer.Argument(help="A model that teach wrote, to change; without -o its file is replaced.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write, .safetensors.")] = None,
    camera: Annotated[
        str | None, typer.Option(help="Record the clips from this camera number, or any SOURCE of watch.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder with a folder for each label, of videos or of folders of frames.")
    ] = None,
    add: Annotated[
        list[tuple] | None,
        typer.Option(
            metavar="LABEL CLIP",
            parser=lambda words: words,  # TeachCommand makes it two words, of which typer would make one string
            help="Add a video file or a folder of frames; may be given several times. The label nothing is for none of "
            "the actions.",
        ),
    ] = None,
    remove: Annotated[
        list[int] | None,
        typer.Option(metavar="NUMBER", help="Remove the example with this number; may be given several times."),
    ] = None,
    background: Annotated[
        list[Path] | None,
        typer.Option(
            help="A video, or a folder of videos, of up to an hour each, in which none of the actions happens; may be "
            "given several times."
        ),
    ] = None,
    false_starts: FalseStarts = None,
    lists: Annotated[bool, typer.Option("--list", help="List the examples, with their numbers.")] = False,
    backbones: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            help="A checkpoint whose network sees the frames, for a new model; may be given several times.",
            show_default="imagenet and motion",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--label", help="A label to record; may be given several times.", show_default="asked for, one by one"
        ),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Number of clips of each label, from a camera.")] = 5,
    seconds: Annotated[float, typer.Option(help="Duration of a clip, from a camera.")] = 2.0,
    pause: Annotated[float, typer.Option(metavar="SECONDS", help="Pause before each clip, from a camera.")] = 1.5,
    keep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the clips of the camera in this folder, as record does.")
    ] = None,
    no_watch: Annotated[
        bool, typer.Option("--no-watch", help="Do not label the camera live after it has taught the model.")
    ] = False,
) -> None:
    """Teach a model your own actions, from a few clips of each, for watch --model.

    Give clips by --camera, --data or --add, and a file to write; or a MODEL to change. The file keeps what the model
    has seen of each clip, so more can be added later without the clips of before.
    """
    needs("torch")

    from actionstream.commands.teach import Recording, as_label, teach_model

    if model is None and (output is None or not (camera or data or add or background)):
        raise ActionstreamError(
            "teach needs clips and an output: give --camera, --data or --add, and -o; or a MODEL that teach wrote"
        )
    if model is not None:
        refuse({"--backbone": backbones}, "is for a new model; a taught one keeps its own, so leave it out")
        if not (camera or data or add or remove or background or false_starts or lists or output):
            raise ActionstreamError(
                "teach has nothing to change; give --add, --remove, --data, --camera, --background or --false-starts, "
                "or --list to see the examples"
            )
    else:
        refuse({"--remove": remove}, "is for a MODEL that teach wrote; give one")
    if camera is None:
        refuse({"--label": labels, "--keep": keep}, "is for --camera; give both, or leave it out")
    recording = camera and Recording(
        camera=camera,
        labels=tuple(dict.fromkeys(as_label(label) for label in labels or _ask_labels())),
        num_clips=clips,
        seconds=seconds,
        pause_seconds=pause,
        folder=keep,
    )
    written, is_complete = teach_model(
        model,
        output,
        backbones=backbones or (),
        data=data,
        added=add or (),
        removed=remove or (),
        background=background or (),
        false_starts_per_hour=false_starts,
        recording=recording or None,
        lists=lists,
        say=say,
    )
    if not is_complete:
        raise typer.Exit(1)
    if camera is not None and not no_watch:
        watch([camera], model=str(written))


def _ask_labels() -> list[str]:
    """Labels from the terminal, until an empty line or the end of the input."""
    labels: list[str] = []
    say("name the actions, one a line; an empty line ends; nothing is the name for none of them")
    while True:
        try:
            label = typer.prompt(f"Label {len(labels) + 1}", default="", show_default=False, err=True).strip()
        except typer.Abort:  # the end of the input
            label = ""
        if not label:
            return labels
        labels.append(label)
