"""Videos and folders of pictures, read one way: live, in training, and by all commands."""

from actionstream.models.video.access import MOST_REPEATS, VideoIndex, check_repeats, every_frame, index_of, read_frames
from actionstream.models.video.containers import check_file
from actionstream.models.video.decoder import LOOK_AHEAD, Decoder
from actionstream.models.video.errors import SourceError
from actionstream.models.video.files import (
    ANIMATED_SUFFIXES,
    FEATURES,
    NOTES,
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    by_number,
    is_animated,
    is_hidden,
    is_video,
    passed_over,
    pictures_in,
)
from actionstream.models.video.picture import Picture, PictureMaker
from actionstream.models.video.pictures import (
    FOLDER_RATE,
    RATE_FILE,
    checked_rate,
    rate_of_folder,
    read_picture,
    read_pictures,
)
from actionstream.models.video.upright import Converter

__all__ = [
    "ANIMATED_SUFFIXES",
    "FEATURES",
    "FOLDER_RATE",
    "LOOK_AHEAD",
    "MOST_REPEATS",
    "NOTES",
    "PICTURE_SUFFIXES",
    "RATE_FILE",
    "VIDEO_SUFFIXES",
    "Converter",
    "Decoder",
    "Picture",
    "PictureMaker",
    "SourceError",
    "VideoIndex",
    "by_number",
    "check_file",
    "check_repeats",
    "checked_rate",
    "every_frame",
    "index_of",
    "is_animated",
    "is_hidden",
    "is_video",
    "passed_over",
    "pictures_in",
    "rate_of_folder",
    "read_frames",
    "read_picture",
    "read_pictures",
]
