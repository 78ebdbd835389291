"""A training run in its own folder: settings, checkpoints, figures, pictures; a killed run can be resumed."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from actionstream.models.card import Card
from actionstream.models.catalogue import create
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import atomic_write, read_text, write_text
from actionstream.models.labels import read_labels
from actionstream.models.locate import locate
from actionstream.models.network import Network
from actionstream.models.networks.initialisation import cross_modality
from actionstream.models.streaming import Streaming
from actionstream.models.training import distributed
from actionstream.models.training.batches import ClipBatches, load_batches
from actionstream.models.training.board import Board
from actionstream.models.training.data import left_out_of, report
from actionstream.models.training.datasets import Clip, Listing, check_split
from actionstream.models.training.loop import train
from actionstream.models.training.pictures import draw_confusion, draw_curves
from actionstream.models.training.remarks import remarks_on, sureness
from actionstream.models.training.settings import TrainingSettings
from actionstream.models.training.state import read_state, save_state
from actionstream.models.training.testing import test
from actionstream.models.weights.checkpoint import read_card, save
from actionstream.models.weights.loading import load

LABELS, START, TEACHER = "labels.txt", "start.safetensors", "teacher.safetensors"


class Run:
    """A training run and its files; each write is atomic.

    settings.json     its settings
    labels.txt        a copy of the list of labels, where one was given
    start.safetensors       a copy of the checkpoint that it starts from, until the first epoch has ended
    teacher.safetensors     a copy of the teacher, where there is one
    last.pt           the state to resume from, after the last whole epoch
    last.safetensors, best.safetensors    checkpoints of that epoch and of the best one
    figures.csv, curves.png, confusion.png, tensorboard/    what was measured after each epoch
    summary.json      at the end: the figures, and the data they were measured on
    """

    def __init__(self, folder: Path, settings: TrainingSettings):
        self.folder = folder
        self.settings = settings

    @classmethod
    def begin(cls, folder: Path, settings: TrainingSettings) -> Run:
        """Begin a new run; ActionstreamError where the folder has a run that is complete or has completed an epoch."""
        settings = replace(settings, start=_from_anywhere(settings.start), teacher=_from_anywhere(settings.teacher))
        if distributed.rank() == 0:
            if (folder / "last.pt").is_file():
                raise ActionstreamError(
                    f"{folder} has a run in it; go on with it (--resume {folder}) or take another folder"
                )
            if cls(folder, settings).is_complete:
                raise ActionstreamError(f"{folder} has a complete run in it; take another folder")
            folder.mkdir(parents=True, exist_ok=True)
            for name in (LABELS, START, TEACHER):  # of a run that completed no epoch
                (folder / name).unlink(missing_ok=True)
            if settings.data.labels is not None:
                write_text(folder / LABELS, read_labels(settings.data.labels).to_text())
            write_text(folder / "settings.json", json.dumps(asdict(settings), indent=1, ensure_ascii=False))
        return cls(folder, settings)

    @property
    def is_complete(self) -> bool:
        return (self.folder / "summary.json").is_file()

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open a run that was begun."""
        file = folder / "settings.json"
        if not file.is_file():
            raise ActionstreamError(f"{folder} has no run in it: there is no settings.json")
        settings = TrainingSettings.from_json(read_text(file), f"the settings of a run {file}")
        if (folder / LABELS).is_file():
            settings = replace(settings, data=replace(settings.data, labels=str(folder / LABELS)))
        return cls(folder, settings)

    def train(
        self, *, device: str = "cpu", workers: int = 1, say: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """Train or resume to the end, and return the summary.

        say  gets, before the first step, lines on what was read of the data set and what was left out
        """
        settings = self.settings
        training, validation, _ = settings.data.open()
        if say is not None and distributed.rank() == 0:
            for line in report(settings.data, training, validation, settings.labels):
                say(line)
        check_split(training, validation)
        self._check(training)
        a_step = settings.batch_size * settings.optimisation.accumulate
        steps = math.ceil(len(training) / a_step)  # of an epoch
        how = replace(settings.optimisation, num_steps=settings.epochs * steps)
        torch.manual_seed(settings.seed)
        network = create(settings.network, **{**settings.arguments, "num_classes": len(settings.labels)})
        if network.in_channels != settings.preprocessing.in_channels:
            raise ActionstreamError(
                f"{settings.network} takes {network.in_channels} channels, and snippets of "
                f"{settings.preprocessing.modality} have {settings.preprocessing.in_channels}; say which --modality"
            )
        state = self._state()
        if settings.start is not None and state is None:  # a resumed run has its weights in the state
            start_from(network, self._copied(settings.start, START)[0], settings.start)
        teacher = None if settings.teacher is None else self._teacher(settings.teacher)
        batches = ClipBatches(
            training,
            settings.labels,
            settings.sampled,
            settings.preprocessing,
            settings.augmentation,
            settings.batch_size,
            how.num_steps * how.accumulate,
            settings.seed,
            label_weights(training, settings.labels) if settings.class_weights else (),
            (distributed.rank(), distributed.num_processes()),
        )
        rows: list[dict[str, float]] = [] if state is None else state["rows"]
        first = 0 if state is None else state["step"] * how.accumulate
        broken: set[str] = set() if state is None else set(state["broken"])
        remarks: set[str] = set()  # on videos that are read
        untested: set[str] = set() if state is None else set(state["untested"])  # broken videos of the validation

        def keep(done: int, tested: Network, state: dict[str, Any]) -> None:
            broken.update(distributed.gathered(sorted(broken)))
            remarks.update(distributed.gathered(sorted(remarks)))
            card = self.card(network)
            row = {"epoch": done / steps, "loss": state["loss"]}
            if validation:
                result = test(tested, card, validation, settings.sampled, device=device, progress="validation")
                untested.update(result.broken)
                remarks.update(result.remarks)
                figures = result.figures()
                row |= {name: value for name, value in figures.items() if isinstance(value, float)}
                card = replace(card, accuracy={**figures, "epoch": row["epoch"]})
            rows.append(row)
            if distributed.rank() > 0:
                return
            with self._room():
                if "top1" in row:  # where a video has one label
                    with atomic_write(self.folder / "confusion.png") as file:
                        draw_confusion(file, result.confusion(), settings.labels)
                save(self.folder / "last.safetensors", tested, card)
                if _best(rows, validation) is row:
                    save(self.folder / "best.safetensors", tested, card)
                self._write_figures(rows, board)
                lists = {"rows": rows, "broken": sorted(broken), "untested": sorted(untested)}
                save_state(self.folder / "last.pt", {**state, **lists})
                (self.folder / START).unlink(missing_ok=True)

        with Board(self.folder / "tensorboard") as board:
            train(
                network,
                load_batches(batches, first=first, workers=workers, broken=broken, remarks=remarks),
                how,
                settings.preprocessing,
                activation=settings.activation,
                teacher=None if teacher is None else teacher.to(device),
                seed=settings.seed,
                device=device,
                start=state,
                every=steps,
                on_progress=keep,
            )
        summary: dict[str, Any] = {**rows[-1], "best": _best(rows, validation)}
        if distributed.rank() == 0:
            if validation:
                figures = read_card(locate(self.folder)).accuracy
                summary |= sureness(figures)
                remarks.update(remarks_on(figures))
            with self._room():
                summary |= self.finish(training, validation, broken=broken | untested, remarks=remarks, found=summary)
        return summary

    def finish(
        self,
        training: Listing,
        validation: Listing,
        *,
        broken: Collection[str],
        remarks: Collection[str],
        found: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Write the summary of a complete run, with what was `found`, and return it."""
        summary = {
            **found,
            "training": len(training),
            "validation": len(validation),
            "left_out": left_out_of(training, validation).summary(),
            "broken": sorted(broken),
            "remarks": sorted(remarks),
            "machine": platform.machine(),
            "torch": torch.__version__.split("+")[0],
            "date": date.today().isoformat(),
        }
        write_text(self.folder / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False))
        return summary

    def card(self, network: Network) -> Card:
        """The card of the network before it is tested."""
        settings = self.settings
        num_frames = 1 if network.streams else settings.sampled.num_frames
        return Card(
            network=settings.network,
            arguments={**settings.arguments, "num_classes": len(settings.labels)},
            labels=settings.labels,
            preprocessing=settings.preprocessing,
            interval_seconds=settings.sampled.interval_seconds,
            frame_seconds=settings.sampled.frame_seconds if settings.preprocessing.num_pictures > 1 else 0.0,
            activation=settings.activation,
            num_frames=num_frames,
            stride=max(num_frames // 8, 1),
            training={"settings": asdict(settings), "date": date.today().isoformat()},
        )

    def _check(self, training: Sequence[Clip]) -> None:
        """ValueError where the clips or the number of processes do not fit the settings."""
        settings, processes = self.settings, distributed.num_processes()
        if unknown := {label for clip in training for label in clip.labels} - set(settings.labels):
            raise ActionstreamError(
                f"{len(unknown)} labels of the clips are not among the {len(settings.labels)} of the run, such as "
                f"{min(unknown)!r}; begin a new run for others"
            )
        opposites = settings.augmentation.opposites
        if strange := {*opposites, *opposites.values()} - {*settings.labels}:
            raise ActionstreamError(
                f"augmentation.opposites has {min(strange)!r}, which is no label; expected some of "
                f"{', '.join(settings.labels)}"
            )
        if settings.batch_size % processes:
            raise ActionstreamError(f"a batch of {settings.batch_size} clips cannot be shared by {processes} processes")
        if settings.optimisation.mixup and settings.batch_size == processes > 1:
            raise ActionstreamError(
                f"mixup needs 2 clips or more for each of {processes} processes; give a larger --batch-size"
            )

    def _copied(self, checkpoint: str, name: str) -> tuple[Network, Card]:
        """Load a checkpoint, and keep a copy of it in the folder to resume with."""
        copy = self.folder / name
        try:
            network, card = load(copy if copy.is_file() else checkpoint)
        except ActionstreamError as error:
            raise ActionstreamError(f"the {copy.stem} of the run cannot be read: {error}") from error
        if distributed.rank() == 0 and not copy.is_file():
            with self._room():
                save(copy, network, card)
        return network, card

    def _teacher(self, checkpoint: str) -> Network:
        """The teacher; ValueError where its labels or its preprocessing differ from those of the run."""
        network, card = self._copied(checkpoint, TEACHER)
        if card.labels != self.settings.labels:
            raise ActionstreamError(
                f"the teacher {checkpoint} has other labels than the run, or in another order; --labels FILE gives the "
                "run an order"
            )
        own = self.settings.preprocessing
        if replace(card.preprocessing, height=own.height, width=own.width, short_side=own.short_side) != own:
            raise ActionstreamError(
                f"the teacher {checkpoint} has another preprocessing, {card.preprocessing}, than the run, {own}"
            )
        return network

    @contextmanager
    def _room(self) -> Iterator[None]:
        """A write that fails in here leaves the run as it was."""
        try:
            yield
        except OSError as error:
            raise OSError(
                f"{error.strerror or error}; what was written before is whole: make room, and go on with "
                f"--resume {self.folder}"
            ) from error

    def _state(self) -> dict[str, Any] | None:
        try:
            return read_state(self.folder / "last.pt")
        except ActionstreamError as error:
            raise ActionstreamError(
                f"{error}; the checkpoints of the run are last.safetensors and best.safetensors, with which --start "
                "begins another one"
            ) from error

    def _write_figures(self, rows: Sequence[dict[str, float]], board: Board) -> None:
        lines = io.StringIO()
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / "figures.csv", lines.getvalue())
        with atomic_write(self.folder / "curves.png") as file:
            draw_curves(file, {name: [row[name] for row in rows] for name in rows[0]}, over="epoch")
        board.add(rows[-1], epoch=round(rows[-1]["epoch"]))


def _from_anywhere(model: str | None) -> str | None:
    """The name or the absolute path of a model, valid in any folder."""
    if model is None:
        return None
    return str(Path(model).resolve()) if locate(model).kind in ("checkpoint", "run") else model


def start_from(network: Network, other: Network, name: str) -> None:
    """Copy the weights of another network that fit; ValueError where they are less than half of this one.

    Weights for RGB are adapted to other modalities (actionstream.models.networks.initialisation.cross_modality).
    """
    network, other = (each.network if isinstance(each, Streaming) else each for each in (network, other))
    given: Mapping[str, Tensor] = other.state_dict()
    if other.in_channels == 3 != network.in_channels:
        given = cross_modality(given, network.in_channels)
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in given.items() if name in own and own[name].shape == tensor.shape}
    taken, wanted = sum(own[name].numel() for name in fitting), sum(tensor.numel() for tensor in own.values())
    if 2 * taken < wanted:
        raise ActionstreamError(
            f"of {name} only {taken:,} of {wanted:,} values fit this network; start from a checkpoint of this network, "
            "or leave --model out, which takes the network of the start"
        )
    network.load_state_dict({**own, **fitting})


def label_weights(clips: Sequence[Clip], labels: Sequence[str]) -> list[float]:
    """The inverse frequency of each label, with a mean of 1 over the clips."""
    counts = [max(sum(label in clip.labels for clip in clips), 1) for label in labels]
    return [len(clips) / len(labels) / count for count in counts]


def _best(rows: Sequence[dict[str, float]], validation: Sequence[Clip]) -> dict[str, float]:
    """The first of the best epochs; the last epoch where there are no validation clips."""
    return max(rows, key=_worth) if validation else rows[-1]


def _worth(row: dict[str, float]) -> float:
    return row.get("top1", row.get("mAP", -row["loss"]))
