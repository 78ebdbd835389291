"""The options of commands that share their work over a Ray cluster."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from actionstream.cluster import LOCAL
from actionstream.models.common.extras import needs

if TYPE_CHECKING:
    from actionstream.archives.on_ray import Sharing

ADDRESS = re.compile(r"local|auto|ray://.+|[\w.\-]+:\d+")


class RayCommand(TyperCommand):
    """A command whose --ray takes an address or nothing: typer has no type for that."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give --ray the value local where no address follows."""
        options = args[: args.index("--")] if "--" in args else args
        for place, (word, after) in enumerate(pairwise([*options, ""])):
            if word == "--ray" and not ADDRESS.fullmatch(after):
                args[place] = f"--ray={LOCAL}"
        return super().parse_args(ctx, args)


Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="[ADDRESS]",
        help="Share the videos over the machines of this Ray cluster, HOST:PORT or auto for the one that this machine "
        "belongs to; without ADDRESS, over the cores of this machine.",
        show_default=False,
    ),
]
Stall = Annotated[
    float,
    typer.Option(min=1, metavar="SECONDS", help="With --ray: a video that gives no frame for so long is given up."),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        min=200,
        metavar="MEGABYTES",
        help="With --ray: most memory of a process.",
        show_default="the share of its cores",
    ),
]
Gpus = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        metavar="SHARE",
        help="With --ray: GPUs of a process; 0.25 lets four share one.",
        show_default="1 on CUDA, else 0",
    ),
]


def sharing_of(ray: str | None, stall: float, max_memory: int | None, gpus: float | None) -> Sharing | None:
    """How the videos are shared by these options; None without --ray."""
    if ray is None:
        return None
    needs("ray")

    from actionstream.archives.on_ray import Sharing

    most_bytes = max_memory and max_memory * 1_000_000
    return Sharing(address=ray, stall_seconds=stall, most_bytes=most_bytes, num_gpus=gpus)
