"""The options of `fleet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actionstream.cli.messages import refuse, say
from actionstream.cluster import LOCAL
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs

EXIT_CODES = (
    "Exit codes: 0 for --status, --drain, --undrain, 2 bad input, 3 a fault in actionstream, 130 Ctrl-C, 143 SIGTERM."
)
AUTO = "auto"


def fleet(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The settings, as for serve, without clips.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="[ADDRESS]",
            help="The Ray cluster: HOST:PORT, or auto for the one that this machine belongs to. Without ADDRESS, the "
            "cores of this machine; --status, --drain and --undrain take auto.",
            show_default=False,
        ),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Print a table of the cameras and the nodes.")] = False,
    drain: Annotated[
        str | None,
        typer.Option(
            metavar="NODE",
            help="Let all cameras leave a node: its name, its address, or the begin of its id.",
            show_default=False,
        ),
    ] = None,
    undrain: Annotated[
        str | None, typer.Option(metavar="NODE", help="Let cameras come to this node again.", show_default=False)
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="The folder for what is kept over restarts.", show_default="state_folder of FILE"),
    ] = None,
) -> None:
    """Watch the cameras of FILE on all nodes of a Ray cluster, as serve does on one machine.

    Records of events are stored in the state folder of this machine before a sink is told. Cameras of a node that dies
    go on elsewhere. Each node needs the models and the sources at the same paths.
    """
    needs("ray")
    needs("serve")
    if status or drain is not None or undrain is not None:
        refuse(
            {"FILE": file, "--state": state}, "is for a fleet to start; leave it out with --status, --drain, --undrain"
        )
        address = AUTO if ray in (None, LOCAL) else ray
        from actionstream.commands import fleet as commands

        for node, undo in ((drain, False), (undrain, True)):
            if node is not None:
                commands.drain(node, undo=undo, address=address, say=say)
        if status:
            commands.print_status(address)
        return
    if file is None:
        raise ActionstreamError("fleet has no FILE; `actionstream serve --example > cameras.toml` makes one")

    from actionstream.commands.fleet import run_fleet
    from actionstream.serve.reading import SettingsError

    try:
        run_fleet(file, address=ray or LOCAL, state_folder=state, say=say)
    except SettingsError as error:
        for problem in error.problems:
            say(problem)
        raise typer.Exit(2) from None
