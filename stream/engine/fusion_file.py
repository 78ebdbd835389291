"""The file of a fusion: a list of networks with their weights."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from actionstream.models.common.checked import ShortText, checked, parse_json
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.files import read_text
from actionstream.models.locate import Located, locate


@checked
class FusedNetwork:
    """A network of the file.

    model   a name, or a path relative to the file
    weight  weight of its scores in the mean
    """

    model: ShortText
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0


@checked
class FusionFile:
    """The contents of the file: a table [[network]] for each network."""

    network: Annotated[list[FusedNetwork], Field(min_length=1, max_length=64)]


def read_networks(path: Path) -> tuple[list[Located], list[float]]:
    """The models of a file, and their weights.

    Raises ActionstreamError for a file that is not TOML or does not list networks.
    """
    source = f"{path} does not list networks to fuse, each as [[network]] with model = and weight ="
    try:
        contents = tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ActionstreamError(f"{source}: {error}") from error
    networks = parse_json(json.dumps(contents, default=str), FusionFile, source).network
    models = [locate(network.model, beside=path.parent) for network in networks]
    return models, [network.weight for network in networks]
