"""The progress bar of training: loss, accuracy, clips a second and remaining time."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StepProgress(Progress):
    """The bar of a training of `total` steps, `done` of them done; loss and accuracy are running means."""

    def __init__(self, total: int, done: int, *, shown: bool):
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(
                "loss {task.fields[loss]:.3f}  correct {task.fields[right]:.1%}  {task.fields[rate]:.1f} clips/s"
            ),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not shown,
        )
        self._steps = self.add_task("training", total=total, completed=done, loss=0.0, right=0.0, rate=0.0)
        self._count = 0

    def step(self, loss: float, right: float, num_clips: int) -> None:
        """Count a step of `num_clips` clips."""
        self._count += 1
        task = self.tasks[0]
        share = max(0.02, 1 / self._count)
        means = {
            name: task.fields[name] + share * (value - task.fields[name])
            for name, value in (("loss", loss), ("right", right))
        }
        self.update(self._steps, advance=1, rate=(task.speed or 0.0) * num_clips, **means)
