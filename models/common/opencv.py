"""OpenCV, loaded when a camera, a window or drawing wants it: it needs system libraries that a server may lack."""

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import extras_named

try:
    with extras_named():
        import cv2
except ImportError as error:  # libGL.so.1: cannot open shared object file
    raise ActionstreamError(
        f"OpenCV cannot be loaded ({error}); on Debian and Ubuntu: apt install libgl1 libglib2.0-0"
    ) from error

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what matters is said by who asked

__all__ = ["cv2"]
