"""Make an animated WebP or GIF of a video: python -m actionstream.demos.animation VIDEO TARGET [WIDTH] [RATE]"""

import sys

from PIL import Image

from actionstream import open_source


def main(video: str, target: str = "animation.webp", width: str = "360", rate: str = "8") -> None:
    """Take RATE frames a second, and make them WIDTH pixels wide."""
    pictures: list[Image.Image] = []
    for frame in open_source(video):
        if frame.time_seconds * float(rate) >= len(pictures):
            picture = Image.fromarray(frame.image)
            picture.thumbnail((int(width), picture.height))
            pictures.append(picture)
    first, *others = pictures
    first.save(target, save_all=True, append_images=others, duration=1000 / float(rate), loop=0, quality=50, method=6)
    print(f"{target}: {len(pictures)} pictures, {first.width} x {first.height}")


if __name__ == "__main__":
    main(*sys.argv[1:])
