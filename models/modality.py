"""Modalities (TSN, arXiv:1608.00859, section 3.3): from sampled pictures to snippets of pixels, differences or flow.

A modality is passive: `push` takes the next picture of a stream and returns a snippet or None; `reset` marks a gap in
the stream, so that no snippet has pictures from both sides of it. cv2 is imported only for flow.
"""

from __future__ import annotations

import copy
from collections import deque
from typing import Protocol

import numpy as np

from actionstream.models.common.choices import FlowMethod
from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import needs
from actionstream.models.preprocessing import Preprocessing, Resizable

BOUND = 20.0
"""Pixels: a byte holds flow from -20 to 20, as in the TSN authors' code."""
MIN_INLIERS = 20
"""The least number of points that must agree on a camera motion; with fewer, the camera is taken as still."""


class Modality(Protocol):
    """Makes snippets from the pictures of one stream."""

    def push(self, image: np.ndarray | Resizable, time_seconds: float) -> np.ndarray | None:
        """Take the next picture, RGB uint8 (h, w, 3); return a snippet, uint8 (height, width, channels), or None."""

    def reset(self) -> None:
        """Forget all pictures so far: the next one does not follow them."""

    def copy(self) -> Modality:
        """An independent copy, to continue from the same point later."""


def open_modality(preprocessing: Preprocessing, *, interval_seconds: float = 0.0) -> Modality:
    """The modality that makes the snippets of a preprocessing.

    interval_seconds  from one snippet to the next, for stacked snippets; flow that is in no snippet is not computed
    """
    if preprocessing.modality == "features":
        raise ActionstreamError("this network takes features of another network, not pictures")
    if preprocessing.num_pictures == 1:
        return Pictures(preprocessing)
    return (Flow if preprocessing.is_flow else StackedPictures)(preprocessing, interval_seconds)


class Pictures:
    """Each picture is a snippet."""

    def __init__(self, preprocessing: Preprocessing):
        self._preprocessing = preprocessing

    def push(self, image: np.ndarray | Resizable, time_seconds: float) -> np.ndarray | None:
        return self._preprocessing.resize(image)

    def reset(self) -> None:
        pass

    def copy(self) -> Pictures:
        return self  # it keeps nothing


class Stack:
    """Snippets of the last `size` parts: the first when there are so many, then at the picture nearest to each tick."""

    def __init__(self, size: int, interval_seconds: float):
        self._parts: deque[np.ndarray] = deque(maxlen=size)
        self._interval = interval_seconds
        self.reset()

    def reset(self) -> None:
        self._parts.clear()
        self._tick: float | None = None  # when the next snippet is due
        self._last_seconds: float | None = None

    def until_due(self, time_seconds: float) -> float:
        """The number of pictures until the next snippet is due, estimated from the last interval between pictures."""
        spacing = time_seconds - (time_seconds if self._last_seconds is None else self._last_seconds)
        self._last_seconds = time_seconds
        if self._tick is None or spacing <= 0:
            return 0.0
        return (self._tick - time_seconds) / spacing

    def push(self, part: np.ndarray, time_seconds: float, until_due: float) -> np.ndarray | None:
        """Add a part; return the snippet that is due, or None."""
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


class StackedPictures:
    """A snippet is a stack of pictures; of differences there is one less, which `Preprocessing.normalise` computes."""

    def __init__(self, preprocessing: Preprocessing, interval_seconds: float):
        self._preprocessing = preprocessing
        self._stack = Stack(preprocessing.num_pictures, interval_seconds)

    def push(self, image: np.ndarray | Resizable, time_seconds: float) -> np.ndarray | None:
        until_due = self._stack.until_due(time_seconds)
        return self._stack.push(self._preprocessing.resize(image), time_seconds, until_due)

    def reset(self) -> None:
        self._stack.reset()

    def copy(self) -> StackedPictures:
        twin = copy.copy(self)
        twin._stack = self._stack.copy()
        return twin


class Flow:
    """A snippet is a stack of flows (x, y, x, y ...) between successive pictures at the scale of the preprocessing.

    The flow is discretised to bytes: -BOUND is 0, BOUND is 255. For warped flow (section 3.3, after Wang and Schmid's
    improved trajectories), the second picture is first warped to the camera position of the first one.
    """

    def __init__(self, preprocessing: Preprocessing, interval_seconds: float):
        needs("camera")  # OpenCV
        if preprocessing.flow_method == "tvl1":
            _tvl1()  # raises now if TVL1 is missing
        self._preprocessing = preprocessing
        self._stack = Stack(preprocessing.stack, interval_seconds)
        self._before: np.ndarray | None = None

    def push(self, image: np.ndarray | Resizable, time_seconds: float) -> np.ndarray | None:
        wanted = self._preprocessing
        until_due = self._stack.until_due(time_seconds)
        if until_due > wanted.stack + 0.5:  # this picture comes before the two of the snippet's first flow
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
    """The flow of a preprocessing from a grey picture (h, w) to the next, as bytes (h, w, 2).

    If `before` has another size, as cut-outs of a tracker do, it is resized to that of `after`.
    """
    if before.shape != after.shape:
        import cv2

        before = cv2.resize(before, after.shape[::-1], interpolation=cv2.INTER_AREA)
    find = warped_flow if preprocessing.modality == "warped-flow" else dense_flow
    return discretise(find(before, after, method=preprocessing.flow_method))


def dense_flow(before: np.ndarray, after: np.ndarray, *, method: FlowMethod = "dis") -> np.ndarray:
    """The optical flow from one grey picture, uint8 (h, w), to the next: float32 (h, w, 2), x and y in pixels.

    method  "dis": Kroeger et al., arXiv:1603.03590; "tvl1": Zach et al. 2007, which needs opencv-contrib-python
    """
    import cv2

    if method == "tvl1":
        return _tvl1().calc(before, after, None)
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return np.asarray(finder.calc(before, after, None))  # type: ignore[call-overload]


def warped_flow(before: np.ndarray, after: np.ndarray, *, method: FlowMethod = "dis") -> np.ndarray:
    """`dense_flow` without the camera motion: 0 where only the camera moved, and outside the warped picture."""
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
    """The homography (3, 3) from points of a picture to points of the next; None where too few points agree on one.

    Corners all over the picture are tracked to the next picture and back again; RANSAC leaves out corners on moving
    objects.
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
