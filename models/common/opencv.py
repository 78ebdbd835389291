"""OpenCV, imported only for cameras, windows and drawing: it needs system libraries that a server may lack."""

from actionstream.models.common.errors import ActionstreamError
from actionstream.models.common.extras import extras_named

try:
    with extras_named():
        import cv2
except ImportError as error:  # libGL.so.1: cannot open shared object file
    raise ActionstreamError(
        f"OpenCV cannot be loaded ({error}); on Debian and Ubuntu: apt install libgl1 libglib2.0-0"
    ) from error

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the callers report errors themselves

__all__ = ["cv2"]
