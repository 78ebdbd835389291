"""The options of `models`."""

from __future__ import annotations

from typing import Annotated

import typer


def models(
    name: Annotated[str | None, typer.Argument(help="Show this checkpoint, run or network in detail.")] = None,
) -> None:
    """List the networks with their costs, and the checkpoints that --model takes by name.

    The input is frames x height x width; the state is the memory of one live stream. A network that does not stream
    runs live in a window of frames. A published checkpoint is downloaded at its first use.
    """
    from actionstream.commands.models import print_model, print_table

    if name is None:
        print_table()
    else:
        print_model(name)
