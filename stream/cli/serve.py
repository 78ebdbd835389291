"""The options of `serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.messages import say
from actionstream.models.common.errors import ActionstreamError

EXIT_CODES = (
    "Exit codes: 0 the check found nothing wrong, 2 bad input, or a source cannot be opened, 3 a fault in "
    "actionstream, 130 Ctrl-C, 143 SIGTERM."
)


def serve(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The settings, such as cameras.toml; --example prints one.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what is wrong in FILE; open each source, and call the broker, once.")
    ] = False,
    example: Annotated[bool, typer.Option("--example", help="Print a file to begin with.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file, for editors.")] = False,
    state: Annotated[
        Path | None,
        typer.Option(help="The folder for what is kept over restarts.", show_default="state_folder of FILE"),
    ] = None,
) -> None:
    """Watch the cameras of FILE all day, and tell their events to MQTT, webhooks and files."""
    if example or schema:
        from actionstream.serve.schema import EXAMPLE_FILE, SCHEMA_FILE

        print((EXAMPLE_FILE if example else SCHEMA_FILE).read_text("utf-8"), end="")
        return
    if file is None:
        raise ActionstreamError("serve has no FILE; `actionstream serve --example > cameras.toml` makes one")

    from actionstream.serve.reading import SettingsError

    try:
        if check:
            from actionstream.commands.serve_check import check as check_file

            code = check_file(file, state_folder=state, say=say)
        else:
            from actionstream.commands.serve import serve as serve_file

            serve_file(file, state_folder=state, say=say)
    except SettingsError as error:
        for problem in error.problems:
            say(problem)
        code = 2
    raise typer.Exit(code)
