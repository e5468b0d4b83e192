"""What may be different on another day than that of the demonstrations."""

import io
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Day:
    """A day.

    Attributes:
        light: (3,) factors on the red, green and blue light.
        lamp: (3,) direction of the light of every lamp, None for the usual ones.
        bump: degrees by which every camera has turned, about a random axis.
        cup: whether a cup stands on the table that no demonstration had.
        noise: standard deviation of the images' noise, in grey levels.
        jpeg: quality at which the images were compressed, None for not at all.
        outside: range in metres by which the object starts outside of the demonstrations' range.
    """

    light: tuple[float, float, float] = (1.0, 1.0, 1.0)
    lamp: tuple[float, float, float] | None = None
    bump: tuple[float, float] = (0.0, 0.0)
    cup: bool = False
    noise: float = 0.0
    jpeg: int | None = None
    outside: tuple[float, float] = (0.0, 0.0)


SAME = "same day"
DAYS = {
    SAME: Day(),
    "darker": Day(light=(0.72, 0.72, 0.72)),
    "brighter": Day(light=(1.35, 1.35, 1.35)),
    "warmer light": Day(light=(1.1, 0.98, 0.75)),
    "lamp from another side": Day(lamp=(0.5, 0.6, -1.0)),
    "camera bumped": Day(bump=(1.0, 3.0)),
    "new object": Day(cup=True),
    "noise, compression": Day(noise=9.0, jpeg=35),
    "darker, camera bumped": Day(light=(0.8, 0.8, 0.8), bump=(1.0, 2.0)),
    "object outside": Day(outside=(0.02, 0.04)),
}


def draw_outside(
    rng: np.random.Generator,
    area: tuple[tuple[float, float], tuple[float, float]],
    distance: tuple[float, float],
) -> np.ndarray:
    """A (2,) place beyond one end of an area for blocks, by a distance between the two given."""
    low, high = np.array(area)
    place = rng.uniform(low, high)
    side = int(rng.integers(2))  # towards the arm, or away from the plates; further out the arm cannot reach
    beyond = rng.uniform(*distance)
    place[side] = low[side] - beyond
    return place


def change_scene(model, data, day: Day, rng: np.random.Generator) -> None:
    """Make lights and cameras of a simulator, which was just reset, those of a day."""
    import mujoco

    light = np.array(day.light, np.float32)
    model.light_diffuse[:] *= light
    model.vis.headlight.diffuse[:] *= light
    model.vis.headlight.ambient[:] *= light
    if day.lamp is not None:
        model.light_dir[:] = np.array(day.lamp) / np.linalg.norm(day.lamp)
    for camera in range(model.ncam):
        axis = rng.normal(size=3)
        turn, turned = np.zeros(4), np.zeros(4)
        mujoco.mju_axisAngle2Quat(turn, axis / np.linalg.norm(axis), np.radians(rng.uniform(*day.bump)))
        mujoco.mju_mulQuat(turned, model.cam_quat[camera], turn)
        model.cam_quat[camera] = turned
    # for the first image; nothing moves
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)


def change_image(image: np.ndarray, day: Day, rng: np.random.Generator) -> np.ndarray:
    """An (H, W, 3) uint8 image as the camera of a day gives it."""
    from PIL import Image

    if day.noise:
        image = np.clip(image + rng.normal(0, day.noise, image.shape), 0, 255).round().astype(np.uint8)
    if day.jpeg:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=day.jpeg)
        image = np.asarray(Image.open(file))
    return image
