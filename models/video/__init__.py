"""Videos and folders of pictures, read one way: live, in training, and by all commands."""

from models.video.files import FEATURES, PICTURE_SUFFIXES, VIDEO_SUFFIXES, is_hidden, is_video, pictures_in

__all__ = ["FEATURES", "PICTURE_SUFFIXES", "VIDEO_SUFFIXES", "is_hidden", "is_video", "pictures_in"]
