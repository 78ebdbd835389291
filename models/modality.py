"""Modalities (TSN, arXiv:1608.00859, section 3.3): from sampled pictures to snippets of pixels, differences or flow.

A stage is passive: `push` the next picture of a stream, and there comes a snippet or None; `reset` where the pictures
do not go on, so that no snippet is made of pictures from both sides. cv2 is imported where there is flow.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import numpy as np

from models.preprocessing import FlowMethod, Preprocessing

BOUND = 20.0
"""Pixels: flow from -20 to 20 is what a byte holds, as in the TSN authors' code."""
MIN_INLIERS = 20
"""Points that have to agree on how the camera moved, or it is taken to have stood still."""


class Modality(Protocol):
    """Makes snippets of the pictures of one stream."""

    def push(self, image: np.ndarray) -> np.ndarray | None:
        """The next picture, RGB uint8 (h, w, 3), to a snippet, uint8 (height, width, channels) of the preprocessing."""

    def reset(self) -> None:
        """The next picture is the first of others."""


def open_modality(preprocessing: Preprocessing, *, every: int = 1) -> Modality:
    """The stage that makes the snippets of a preprocessing.

    every  pictures from one snippet to the next, where a snippet is a stack; flow that no stack holds is not computed
    """
    if every < 1:
        raise ValueError(f"a snippet every {every} pictures; it is 1 or more")
    if preprocessing.modality == "features":
        raise ValueError("this network takes features that another one has made, and no pictures")
    if preprocessing.modality == "rgb":
        return Pictures(preprocessing)
    return (Flow if preprocessing.is_flow else Differences)(preprocessing, every)


class Pictures:
    """Each picture is a snippet."""

    def __init__(self, preprocessing: Preprocessing):
        self._preprocessing = preprocessing

    def push(self, image: np.ndarray) -> np.ndarray | None:
        return self._preprocessing.resize(image)

    def reset(self) -> None:
        pass


class Differences:
    """A snippet is a stack of pictures, one more than there are differences; those are taken by `normalise`."""

    def __init__(self, preprocessing: Preprocessing, every: int):
        self._preprocessing = preprocessing
        self._every = every
        self._pictures: deque[np.ndarray] = deque(maxlen=preprocessing.stack + 1)
        self._until_snippet = preprocessing.stack

    def push(self, image: np.ndarray) -> np.ndarray | None:
        self._pictures.append(self._preprocessing.resize(image))
        if self._until_snippet:
            self._until_snippet -= 1
            return None
        self._until_snippet = self._every - 1
        return np.concatenate(self._pictures, axis=2)

    def reset(self) -> None:
        self.__init__(self._preprocessing, self._every)  # type: ignore[misc]


class Flow:
    """A snippet is a stack of flows (x, y, x, y ...) between successive pictures at the scale of the preprocessing.

    Discretised to bytes: -BOUND is 0, BOUND is 255. Warped flow (section 3.3, after Wang and Schmid's improved
    trajectories) is computed with the second picture put where the first one's camera would have seen it.
    """

    def __init__(self, preprocessing: Preprocessing, every: int):
        if preprocessing.flow_method == "tvl1":
            _tvl1()  # say now what is missing
        self._preprocessing = preprocessing
        self._every = every
        self._before: np.ndarray | None = None
        self._flows: deque[np.ndarray] = deque(maxlen=preprocessing.stack)
        self._until_snippet = preprocessing.stack

    def push(self, image: np.ndarray) -> np.ndarray | None:
        import cv2

        wanted = self._preprocessing
        before, self._before = self._before, cv2.cvtColor(wanted.scale(image), cv2.COLOR_RGB2GRAY)
        if before is not None and self._until_snippet < wanted.stack:
            find = warped_flow if wanted.modality == "warped-flow" else dense_flow
            self._flows.append(discretise(wanted.crop(find(before, self._before, method=wanted.flow_method))))
        if self._until_snippet:
            self._until_snippet -= 1
            return None
        self._until_snippet = self._every - 1
        return np.concatenate(self._flows, axis=2)

    def reset(self) -> None:
        self.__init__(self._preprocessing, self._every)  # type: ignore[misc]


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
        raise ValueError("flow by TVL1 needs pip install opencv-contrib-python, in place of opencv-python")
    import cv2

    return cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]
