"""Let the video encoders report errors alone, where LeRobot encodes videos.

Otherwise each recorded or converted video fills the console with some 20 lines of their settings and statistics.
"""

import os

import av


def quiet_encoders() -> None:
    """For this process and those that it starts. A level in SVT_LOG stays."""
    os.environ.setdefault("SVT_LOG", "1")
    av.logging.set_libav_level(av.logging.ERROR)  # of what LeRobot leaves to FFmpeg's own logging
