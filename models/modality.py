"""Modalities (TSN, arXiv:1608.00859, section 3.3): from sampled pictures to snippets of pixels, differences or flow.

A stage is passive: `push` the next picture of a stream, and there comes a snippet or None; `reset` where the pictures
do not go on, so that no snippet is made of pictures from both sides. cv2 is imported where there is flow.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Protocol

import numpy as np

from actionstream.models.common.choices import FlowMethod
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.preprocessing import Preprocessing

BOUND = 20.0
"""Pixels: flow from -20 to 20 is what a byte holds, as in the TSN authors' code."""
MIN_INLIERS = 20
"""Points that have to agree on how the camera moved, or it is taken to have stood still."""


class Modality(Protocol):
    """Makes snippets of the pictures of one stream."""

    def push(self, image: np.ndarray, time_seconds: float) -> np.ndarray | None:
        """The next picture, RGB uint8 (h, w, 3), to a snippet, uint8 (height, width, channels) of the preprocessing."""

    def reset(self) -> None:
        """The next picture is the first of others."""

    def copy(self) -> Modality:
        """It as it is, to go on from there another time."""


def open_modality(preprocessing: Preprocessing, *, interval_seconds: float = 0.0) -> Modality:
    """The stage that makes the snippets of a preprocessing.

    interval_seconds  from one snippet to the next, where a snippet is a stack; flow that no stack holds is not computed
    """
    if preprocessing.modality == "features":
        raise ActionstreamError("this network takes features that another one has made, and no pictures")
    if preprocessing.modality == "rgb":
        return Pictures(preprocessing)
    return (Flow if preprocessing.is_flow else Differences)(preprocessing, interval_seconds)


class Pictures:
    """Each picture is a snippet."""

    def __init__(self, preprocessing: Preprocessing):
        self._preprocessing = preprocessing

    def push(self, image: np.ndarray, time_seconds: float) -> np.ndarray | None:
        return self._preprocessing.resize(image)

    def reset(self) -> None:
        pass

    def copy(self) -> Pictures:
        return self  # it keeps nothing


class Stack:
    """A snippet of the last so many parts: first when there are so many, then at the picture nearest to each tick."""

    def __init__(self, size: int, interval_seconds: float):
        self._parts: deque[np.ndarray] = deque(maxlen=size)
        self._interval = interval_seconds
        self.reset()

    def reset(self) -> None:
        self._parts.clear()
        self._tick: float | None = None  # when the next snippet is due
        self._last_seconds: float | None = None

    def until_due(self, time_seconds: float) -> float:
        """How many pictures there are to come before the next snippet, judged by the last distance between two."""
        spacing = time_seconds - (time_seconds if self._last_seconds is None else self._last_seconds)
        self._last_seconds = time_seconds
        if self._tick is None or spacing <= 0:
            return 0.0
        return (self._tick - time_seconds) / spacing

    def push(self, part: np.ndarray, time_seconds: float, until_due: float) -> np.ndarray | None:
        """One more part; the snippet that is due with it."""
        self._parts.append(part)
        if len(self._parts) < (self._parts.maxlen or 0) or until_due > 0.5 + 1e-6:
            return None
        tick = time_seconds if self._tick is None else self._tick
        self._tick = max(tick + self._interval, time_seconds)
        return np.concatenate(self._parts, axis=2)

    def copy(self) -> Stack:
        twin = copy.copy(self)
        twin._parts = self._parts.copy()  # the pictures in it are never written to
        return twin


class Differences:
    """A snippet is a stack of pictures, one more than there are differences; those are taken by `normalise`."""

    def __init__(self, preprocessing: Preprocessing, interval_seconds: float):
        self._preprocessing = preprocessing
        self._stack = Stack(preprocessing.stack + 1, interval_seconds)

    def push(self, image: np.ndarray, time_seconds: float) -> np.ndarray | None:
        until_due = self._stack.until_due(time_seconds)
        return self._stack.push(self._preprocessing.resize(image), time_seconds, until_due)

    def reset(self) -> None:
        self._stack.reset()

    def copy(self) -> Differences:
        twin = copy.copy(self)
        twin._stack = self._stack.copy()
        return twin


class Flow:
    """A snippet is a stack of flows (x, y, x, y ...) between successive pictures at the scale of the preprocessing.

    Discretised to bytes: -BOUND is 0, BOUND is 255. Warped flow (section 3.3, after Wang and Schmid's improved
    trajectories) is computed with the second picture put where the first one's camera would have seen it.
    """

    def __init__(self, preprocessing: Preprocessing, interval_seconds: float):
        needs("camera")  # OpenCV
        if preprocessing.flow_method == "tvl1":
            _tvl1()  # say now what is missing
        self._preprocessing = preprocessing
        self._stack = Stack(preprocessing.stack, interval_seconds)
        self._before: np.ndarray | None = None

    def push(self, image: np.ndarray, time_seconds: float) -> np.ndarray | None:
        wanted = self._preprocessing
        until_due = self._stack.until_due(time_seconds)
        if until_due > wanted.stack + 0.5:  # two pictures make the first flow of a snippet; this is before them
            self._before = None
            return None
        before, self._before = self._before, to_grey(wanted.scale(image))
        if before is None:
            return None
        flow = wanted.crop(find_flow(before, self._before, wanted))
        return self._stack.push(flow, time_seconds, until_due)

    def reset(self) -> None:
        self._stack.reset()
        self._before = None

    def copy(self) -> Flow:
        twin = copy.copy(self)
        twin._stack = self._stack.copy()
        return twin


def to_grey(image: np.ndarray) -> np.ndarray:
    """An RGB picture, uint8 (h, w, 3), to grey, uint8 (h, w)."""
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def find_flow(before: np.ndarray, after: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The flow of a preprocessing from a grey picture (h, w) to the next, in bytes (h, w, 2).

    A picture before of another size, such as one of a tracker's cut-outs, is brought to that of the next.
    """
    if before.shape != after.shape:
        import cv2

        before = cv2.resize(before, after.shape[::-1], interpolation=cv2.INTER_AREA)
    find = warped_flow if preprocessing.modality == "warped-flow" else dense_flow
    return discretise(find(before, after, method=preprocessing.flow_method))


def dense_flow(before: np.ndarray, after: np.ndarray, *, method: FlowMethod = "dis") -> np.ndarray:
    """How far each point of a picture moves to the next: grey uint8 (h, w) twice to pixels, float32 (h, w, 2) as x, y.

    method  "dis": Kroeger et al., arXiv:1603.03590; "tvl1": Zach et al. 2007, where opencv-contrib-python is installed
    """
    import cv2

    if method == "tvl1":
        return _tvl1().calc(before, after, None)
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(before, after, None))  # type: ignore[call-overload]


def warped_flow(before: np.ndarray, after: np.ndarray, *, method: FlowMethod = "dis") -> np.ndarray:
    """The same without what the camera did: 0 where only it has moved, and where one picture does not reach."""
    import cv2

    camera = camera_motion(before, after)
    if camera is None:
        return dense_flow(before, after, method=method)
    rows, columns = before.shape
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(after, camera, (columns, rows), flags=how, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones_like(after), camera, (columns, rows), flags=how)
    return dense_flow(before, seen, method=method) * inside[:, :, None]


def camera_motion(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """The homography (3, 3) from points of a picture to those of the next; None where too few points agree on one.

    Corners spread over the picture are matched by tracking them to the next and back again; RANSAC leaves out those on
    things that move by themselves.
    """
    import cv2

    corners = cv2.goodFeaturesToTrack(before, 800, 0.002, 7)
    if corners is None:
        return None
    search = {"winSize": (15, 15), "maxLevel": 3}
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **search)  # type: ignore[call-overload]
    back, returned, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, None, **search)  # type: ignore[call-overload]
    good = (found & returned)[:, 0].astype(bool) & (np.abs(back - corners).max(axis=(1, 2)) < 0.5)
    if good.sum() < MIN_INLIERS:
        return None
    camera, inliers = cv2.findHomography(corners[good], moved[good], cv2.RANSAC, 1.0)
    return camera if camera is not None and inliers.sum() >= MIN_INLIERS else None


def discretise(flow: np.ndarray) -> np.ndarray:
    """Pixels (h, w, 2) to bytes."""
    return np.rint((np.clip(flow, -BOUND, BOUND) + BOUND) * (255 / (2 * BOUND))).astype(np.uint8)


def has_tvl1() -> bool:
    """Whether the OpenCV that is installed has TVL1."""
    import cv2

    return hasattr(cv2, "optflow")


def _tvl1():
    if not has_tvl1():
        raise ActionstreamError("flow by TVL1 needs pip install opencv-contrib-python, in place of opencv-python")
    import cv2

    return cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]
