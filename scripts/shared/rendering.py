#!/usr/bin/env python
"""Find the MUJOCO_GL backend that really renders here.

    python scripts/shared/rendering.py                                  # prints egl, osmesa or glfw
    MUJOCO_GL=$(python scripts/shared/rendering.py) lerobot-eval ...    # the simulator without a display

Each backend draws one small frame in its own process, because a failed GL import poisons the process that tried
it. It renders as Meta-World's environments do, with gymnasium's off-screen viewer. Nothing is cached: the next call
finds a driver that was installed a minute ago.
"""

import os
import subprocess
import sys

PROBE = """
import mujoco
from gymnasium.envs.mujoco.mujoco_rendering import OffScreenViewer
model = mujoco.MjModel.from_xml_string(
    "<mujoco><worldbody><light pos='0 0 3'/><geom size='1' rgba='1 0 0 1'/></worldbody></mujoco>"
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
viewer = OffScreenViewer(model, data, 32, 32)
assert viewer.render("rgb_array", camera_id=-1).any(), "the frame is black"
viewer.close()
"""
PROBE_TIMEOUT_S = 60

NO_GL = (
    "no OpenGL for the simulator: tried {tried}, none renders. On Debian/Ubuntu: apt-get install "
    "libegl1 libgl1 libgl1-mesa-dri. To train without the simulator: make train DATASET=<your dataset>"
)


def renders(backend: str) -> bool:
    """Whether a separate process can draw a frame with `backend`."""
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE],
            env={**os.environ, "MUJOCO_GL": backend},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


def choose_mujoco_gl() -> str:
    """Set MUJOCO_GL to a backend that renders and return it, or exit with one line if none does.

    A MUJOCO_GL that the user has set comes first and stays if it works.
    """
    backends = [os.environ["MUJOCO_GL"]] if os.environ.get("MUJOCO_GL") else []
    backends += ["egl", "osmesa"]
    # GLFW opens a hidden window, which needs a display; on macOS there always is one.
    if sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        backends.append("glfw")
    backends = list(dict.fromkeys(backends))  # the user's own choice need not be tried twice
    for backend in backends:
        if renders(backend):
            os.environ["MUJOCO_GL"] = backend
            return backend
    raise SystemExit(NO_GL.format(tried=", ".join(backends)))


if __name__ == "__main__":
    print(choose_mujoco_gl())
