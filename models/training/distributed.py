"""Distributed training: torchrun starts several processes, and each trains on its share of every batch.

The environment variables of torchrun (RANK, WORLD_SIZE, LOCAL_RANK) form the process group. Without them the process is
alone, and these functions do nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from actionstream.models.common.errors import ActionstreamError

Item = TypeVar("Item")


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Form the process group: NCCL on GPUs ("cuda"), each process on the GPU of its LOCAL_RANK; gloo on the CPU.

    An error in one process ends all of them: that process raises it, and the others exit without a message.
    """
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys():
        yield
        return
    if device == "cuda":
        place, there = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if place >= there:
            raise ActionstreamError(f"there is no GPU for process {place + 1} of this machine, which has {there}")
        torch.cuda.set_device(place)
    elif device != "cpu":
        raise ActionstreamError(f"several processes train on GPUs (cuda) or on the CPU, not on {device}")
    store, number, size = next(distributed.rendezvous("env://"))
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, store=distributed.PrefixStore("group", store), rank=number, world_size=size)
    try:
        yield
    except Exception as error:
        if not _is_first(store, number):
            raise SystemExit(2) from error
        if isinstance(error, distributed.DistError) or (isinstance(error, RuntimeError) and "peer" in str(error)):
            raise OSError("another process of this training ended without an error message; all end") from error
        raise
    distributed.destroy_process_group()


def rank() -> int:
    """The rank of this process; rank 0 writes files and shows progress."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def num_processes() -> int:
    """The number of processes; 1 without a group."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def mean(values: Tensor) -> Tensor:
    """The mean over the processes."""
    if not distributed.is_initialized():
        return values
    values = values.clone()
    distributed.all_reduce(values)
    return values / num_processes()


def gathered(items: list[Item]) -> list[Item]:
    """The items of all processes, those of process 0 first."""
    if not distributed.is_initialized():
        return items
    lists: list[list[Item]] = [[] for _ in range(num_processes())]
    distributed.all_gather_object(lists, items)
    return [item for each in lists for item in each]


def learner(network: nn.Module) -> nn.Module:
    """The network, wrapped so that its gradients are the mean over the processes."""
    return DistributedDataParallel(network) if distributed.is_initialized() else network


def unsynced(learner: nn.Module) -> AbstractContextManager[None]:
    """Calls in here do not synchronise gradients; the next call outside does (gradient accumulation)."""
    return learner.no_sync() if isinstance(learner, DistributedDataParallel) else nullcontext()


def share_buffers(network: nn.Module) -> None:
    """Copy the buffers of process 0, such as batch-norm statistics, to all; they come from its share alone."""
    if distributed.is_initialized():
        for buffer in network.buffers():
            distributed.broadcast(buffer, 0)


def _is_first(store: distributed.Store, number: int) -> bool:
    """Whether this process is the first with an error; the store outlives the processes, since torchrun keeps it."""
    try:
        return store.compare_set("ended", "", str(number)).decode() == str(number)
    except distributed.DistError:
        return False
