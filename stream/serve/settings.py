"""The settings of `serve`, as cameras.toml has them. `actionstream.serve.reading` reads them from the file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from actionstream.choices import DeviceName, PrecisionName, RuntimeName, Transport
from actionstream.models.common.checked import ShortText
from actionstream.models.common.choices import LiveMode
from actionstream.models.locate import BEST
from actionstream.serve.shapes import Box, Polygon
from actionstream.serve.values import (
    MINUTES_A_DAY,
    Days,
    FilePath,
    Headers,
    HostAndPort,
    Hours,
    Name,
    Seconds,
    Secret,
    Text,
    Thresholds,
    Timeout,
    TimeZone,
    Topic,
    WebAddress,
    folder_of,
    told,
    wanted,
)
from actionstream.sources.address import SCHEMES, mistyped, scheme

LOGIN_SCHEMES = ("rtsp", "rtsps", "http", "https")
"""The schemes of addresses that a user and a password are put into."""

Labels = Annotated[tuple[Text, ...], Strict(False), Field(max_length=100_000)]


class Part(BaseModel):
    """The base of all parts: their types are strict, and they do not change."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def _state_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "actionstream"


class Server(Part):
    """What holds for the whole process."""

    state_folder: FilePath = Field(
        default_factory=_state_folder,
        description="The folder for what is kept over restarts; default: actionstream in XDG_STATE_HOME, else in "
        "~/.local/state.",
    )
    http: HostAndPort | None = Field(
        default="127.0.0.1:9160",
        description='Host and port of a page of the cameras, /metrics, /healthz and /readiness; "off": none.',
    )
    time_zone: TimeZone | None = Field(
        default=None, description="The time zone of schedules, such as Europe/Berlin; default: that of the machine."
    )
    runtime: RuntimeName = Field(
        default="auto",
        description="The software that runs the networks; auto takes the fastest one with the same scores.",
    )
    precision: PrecisionName = Field(
        default="float32",
        description="The precision of the networks on a CPU; auto takes the fastest one. Others than float32 give "
        "other scores.",
    )
    device: DeviceName = Field(default="auto", description="The networks run on this device.")
    num_threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads of a network; default: as suits the machine."
    )
    keep_events_days: float = Field(
        default=30, gt=0, le=36_500, description="Events are kept for this many days in the state folder."
    )


class Region(Part):
    """A part of the picture: a box or a polygon, in shares of the width and the height from the top left corner."""

    box: Box | None = Field(default=None, description="left, top, right, bottom")
    polygon: Polygon | None = Field(default=None, description="x and y of each corner")

    @model_validator(mode="before")
    @classmethod
    def _of_list(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"polygon" if value and all(isinstance(each, list) for each in value) else "box": value}
        return value

    @model_validator(mode="after")
    def _one(self) -> Region:
        if (self.box is None) == (self.polygon is None):
            raise told("is no region; expected a box, [left, top, right, bottom], or a polygon, [[x, y], ...]")
        return self

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom of the smallest box around it."""
        if self.box is not None:
            return self.box
        assert self.polygon is not None
        across, down = zip(*self.polygon, strict=True)
        return min(across), min(down), max(across), max(down)


class Period(Part):
    """Hours of some days of the week. Hours over midnight belong to the day on which they begin.

    hours  minutes since midnight of the begin and the end; an end on the next day is above 1440
    days   0 for Monday
    """

    hours: Hours = Field(
        default=(0, MINUTES_A_DAY), description="From and to, such as 08:00-18:00; default: the whole day."
    )
    days: Days = Field(default=tuple(range(7)), description='Such as "mon-fri" or ["mon", "sat"]; default: each day.')


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


class Camera(Part):
    """A camera, or another source, and what is told of it."""

    user: Secret | None = Field(default=None, description="Put into an address of RTSP or HTTP that has none.")
    password: Secret | None = Field(default=None, description="Belongs to the user.")
    source: Secret = Field(
        description="An address such as rtsp://camera/stream, a video file, a folder of images, the number of a "
        "camera, or sample, the clip of the package."
    )
    model: ShortText = Field(default="motion", description="A model by its name or path.")
    streaming: LiveMode | None = Field(
        default=None,
        description="How a network for whole clips runs live: in a window, or frame by frame, causal or delayed. "
        "Default: as it was trained, else in a window.",
    )
    threshold: Thresholds | None = Field(
        default=None,
        description='A label starts when its smoothed score reaches this, 0 to 1; or a table by label, with "*" for '
        "the others. Default: that of the model, else 0.6.",
    )
    end_threshold: Thresholds | None = Field(
        default=None, description="A label ends when its score falls below this; default: half of the threshold."
    )
    smoothing_seconds: Seconds = Field(
        default=0.3, description="The time constant of the smoothing of scores; 0: none."
    )
    min_duration_seconds: Seconds | None = Field(
        default=None, description="A label that lasts less than this is no event. Default: that of the model, else 0.2."
    )
    cooldown_seconds: Seconds = Field(
        default=0, description="After the end of an event, the same label makes no event for this long."
    )
    gap_seconds: Seconds | None = Field(
        default=None,
        description="A longer pause between two frames empties the state; default: 8 frames of the model, at least "
        "0.5.",
    )
    background: Text | None = Field(
        default=None, description="The label that means that nothing happens; it makes no event."
    )
    labels: Labels | None = Field(default=None, description="Only these labels make events; default: all.")
    ignored_labels: Labels = Field(default=(), description="These labels make no events.")
    regions: dict[Name, Region] = Field(
        default={},
        description="Parts of the picture by name; each is watched instead of the whole picture, as a stream of its "
        "own.",
    )
    schedule: Annotated[tuple[Period, ...], BeforeValidator(_as_list), Strict(False)] = Field(
        default=(), description="The periods in which the camera is watched; default: always."
    )
    transport: Transport = Field(default="tcp", description="The transport protocol of RTSP.")
    loop: bool = Field(default=False, description="Whether a file begins again at its end.")
    realtime: bool = Field(default=True, description="Whether a file is played at its own speed.")
    gate: bool = Field(
        default=False,
        description="Whether the network runs all the time only where something moves. While the scene is still there "
        "is a step in 2 s; when a movement begins, the second before it comes first.",
    )
    rate: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Frames a second of a folder of images; default: as in its rate.txt, else 30.",
    )
    snapshots: bool = Field(default=True, description="Whether a picture of the start of each event is made.")
    clips: bool = Field(default=True, description="Whether clips of events are written, where there are [clips].")
    retry_refused: bool = Field(
        default=False, description="Whether to go on trying where the camera refuses the user and the password."
    )
    update_seconds: Timeout = Field(default=5, description="The interval between two updates of an event that goes on.")

    def labels_told(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Those of its model's labels that make events."""
        wanted = [label for label in labels if self.labels is None or label in self.labels]
        return tuple(label for label in wanted if label not in self.ignored_labels)

    @model_validator(mode="after")
    def _check_login(self) -> Camera:
        if self.password is not None and self.user is None:
            raise told("has a password and no user; give both")
        return self

    @model_validator(mode="after")
    def _check_labels(self) -> Camera:
        if self.labels is not None and set(self.labels) <= set(self.ignored_labels):
            raise told("ignores all of its labels; expected one label or more that is not in ignored_labels")
        return self

    @field_validator("model")
    @classmethod
    def _find_model(cls, model: str, info: ValidationInfo) -> str:
        path = folder_of(info) / model
        return str(path) if os.path.isfile(path) or os.path.isfile(path / BEST) else model

    @field_validator("labels")
    @classmethod
    def _some(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels == ():
            raise wanted("one label or more; without this key, all labels make events")
        return labels

    @field_validator("source", mode="before")
    @classmethod
    def _of_number(cls, value: Any) -> Any:
        return str(value) if type(value) is int and value >= 0 else value

    @field_validator("source")
    @classmethod
    def _complete(cls, source: SecretStr, info: ValidationInfo) -> SecretStr:
        text = source.get_secret_value().strip()
        if text in ("", "-") or "\0" in text:
            raise told("names no source; expected an address, a file, a folder or the number of a camera")
        if known := scheme(text):
            if known not in SCHEMES:
                raise told(f"has the scheme {known}; expected {', '.join(SCHEMES)}")
            return SecretStr(_with_login(text, info.data.get("user"), info.data.get("password")))
        path = folder_of(info) / os.path.expanduser(text)
        exists = os.path.exists(path)
        if (meant := mistyped(text)) and not exists:
            raise told(f"is no address; expected {meant}://, as in {meant}://host/path")
        is_name = text.isdecimal() or text == "sample"
        return source if is_name and not exists else SecretStr(str(path))


def _with_login(address: str, user: SecretStr | None, password: SecretStr | None) -> str:
    begin, rest = address.split("://", 1)
    if user is None or begin.lower() not in LOGIN_SCHEMES or "@" in rest:
        return address
    login = quote(user.get_secret_value(), safe="")
    if password is not None:
        login += ":" + quote(password.get_secret_value(), safe="")
    return f"{begin}://{login}@{rest}"


class Mqtt(Part):
    """The MQTT broker."""

    host: Text = Field(description="The name or the address of the broker.")
    tls: bool = Field(default=False, description="Whether the connection is encrypted.")
    port: int = Field(
        default=None, validate_default=True, ge=1, le=65_535, description="Default: 1883, or 8883 with tls."
    )
    user: Text | None = Field(default=None, description="The user at the broker.")
    password: Secret | None = Field(default=None, description="Belongs to the user.")
    ca_file: FilePath | None = Field(
        default=None, description="Certificates of the authorities that are trusted; default: those of the machine."
    )
    client_id: Text = Field(default="actionstream", description="Another one for each process at the same broker.")
    base_topic: Topic = Field(default="actionstream", description="All topics begin with it.")
    home_assistant: bool = Field(default=True, description="Whether Home Assistant finds the cameras by itself.")
    discovery_prefix: Topic = Field(default="homeassistant", description="The discovery prefix in Home Assistant.")
    snapshots: bool = Field(default=True, description="Whether pictures of events are sent.")
    keepalive_seconds: int = Field(
        default=30, ge=1, le=65_535, description="The interval of the messages that keep the connection alive."
    )

    @field_validator("port", mode="before")
    @classmethod
    def _usual_port(cls, port: Any, info: ValidationInfo) -> Any:
        return (8883 if info.data.get("tls") else 1883) if port is None else port

    @model_validator(mode="after")
    def _check_pairs(self) -> Mqtt:
        if self.password is not None and self.user is None:
            raise told("has a password and no user; give both")
        if self.ca_file is not None and not self.tls:
            raise told("has a ca_file and no tls; set tls = true")
        return self


class Webhook(Part):
    """An address that gets each record of an event as a POST."""

    url: WebAddress = Field(description="The address, http:// or https://.")
    secret: Secret | None = Field(default=None, description="Signs each request, as HMAC with SHA-256.")
    timeout_seconds: Timeout = Field(default=5, description="The longest time for an answer.")
    headers: Headers = Field(default={}, description="Further headers of each request.")


class ClipSettings(Part):
    """Clips of events, on disk."""

    folder: FilePath = Field(description="The folder of the clips.")
    before_seconds: Seconds = Field(default=5, description="A clip begins this long before its event.")
    after_seconds: Seconds = Field(default=5, description="A clip ends this long after its event.")
    keep_days: float = Field(default=7, gt=0, le=36_500, description="Older clips are removed.")
    keep_gigabytes: float = Field(default=10, gt=0, le=1e6, description="The oldest clips are removed above this.")
    memory_megabytes: float = Field(
        default=64, gt=0, le=1e6, description="The most memory for what a camera sent before an event, for each camera."
    )


class JsonFile(Part):
    """A file of JSON lines."""

    path: FilePath = Field(description="The file.")
    max_megabytes: float = Field(
        default=100, gt=0, le=1e6, description="A longer file is closed, and another one begun."
    )
    max_hours: float = Field(default=24, gt=0, le=1e6, description="An older file is closed, and another one begun.")
    keep: int = Field(default=7, ge=0, le=100_000, description="The number of closed files that are kept.")


def _check_cameras(cameras: dict[str, Camera]) -> dict[str, Camera]:
    if not cameras:
        raise told("are not there; expected a table [cameras.NAME] with a source")
    return cameras


class Settings(Part):
    """The settings of `serve`."""

    server: Server = Field(default_factory=Server, description="What holds for the whole process.")
    cameras: Annotated[dict[Name, Camera], AfterValidator(_check_cameras)] = Field(
        default={}, validate_default=True, description="Cameras by name."
    )
    mqtt: Mqtt | None = Field(default=None, description="The MQTT broker.")
    webhooks: dict[Name, Webhook] = Field(default={}, description="Webhooks by name.")
    clips: ClipSettings | None = Field(default=None, description="Clips of events, on disk.")
    json_file: JsonFile | None = Field(default=None, alias="json", description="A file of JSON lines.")
