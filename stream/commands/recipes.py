"""The recipes of the repository, by name: `actionstream train RECIPE`."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch

from actionstream.commands.timeception import train_timeception
from actionstream.commands.ut_interaction import train_ut_interaction
from actionstream.models.common.choices import Shift
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import check_target
from actionstream.models.network import Network
from actionstream.models.training import distributed
from actionstream.models.training.motion import NUM_STEPS, motion_card, train_motion
from actionstream.models.training.state import read_state, save_state
from actionstream.models.weights.checkpoint import save
from actionstream.runtimes.eager import choose_device


def train_motion_recipe(
    output: Path, *, shift: Shift = "uni", steps: int = NUM_STEPS, seed: int, device: str, workers: int
) -> None:
    """Train the network of `motion` and write its checkpoint, atomically after each 200 steps.

    Until the end a file NAME.state beside the checkpoint has the state of training: after a stop, the same command
    resumes.
    """
    check_target(output)
    command = f"actionstream train motion --shift {shift} --steps {steps} --seed {seed}"
    training: dict[str, Any] = {
        "command": command,
        "data": "clips rendered by actionstream.models.training.scenes",
        "start": "random weights",
        "torch": torch.__version__.split("+")[0],
        "machine": platform.machine(),
        "date": date.today().isoformat(),
    }

    state_file = output.with_suffix(".state")
    begun = read_state(state_file)
    if begun is not None and begun.get("command") != command:
        raise ActionstreamError(f"{state_file} belongs to {begun.get('command')}; run that, or delete the file")

    def keep(done: int, network: Network, state: dict[str, Any]) -> None:
        save(output, network, motion_card(shift, {**training, "steps": done}, {}), half=True)
        save_state(state_file, {**state, "command": command})

    train_motion(shift=shift, num_steps=steps, seed=seed, device=device, workers=workers, start=begun, on_progress=keep)
    state_file.unlink()
    print(f"wrote {output}; measure it with: actionstream test {output} --write")


RECIPES: dict[str, Callable[..., None]] = {
    "motion": train_motion_recipe,
    "ut-interaction": partial(train_ut_interaction, "interactions"),
    "arrow-of-time": partial(train_ut_interaction, "direction"),
    "timeception": train_timeception,
}
COMMON = ("seed", "device", "workers")
"""Options that always have a value; a recipe takes only those that it needs."""


def train_recipe(name: str, output: Path, **options: Any) -> None:
    """Train a recipe with the options of the command line; an option is None where it was not given.

    Raises ValueError for an unknown recipe, and for an option that the recipe does not have.
    """
    if name not in RECIPES:
        raise ActionstreamError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    if distributed.num_processes() > 1:
        raise ActionstreamError(f"the recipe {name} is trained by one process; start it without torchrun")
    parameters = inspect.signature(RECIPES[name]).parameters.values()
    takes = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    options["device"] = choose_device(options["device"]).type
    given = {option: value for option, value in options.items() if value is not None}
    for option in [option for option in given if option not in takes]:
        if option not in COMMON:
            wrong = option.replace("_", "-")
            raise ActionstreamError(f"the recipe {name} has no --{wrong}; it has --{', --'.join(takes)}")
        del given[option]
    RECIPES[name](output, **given)
