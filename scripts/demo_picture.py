#!/usr/bin/env python
"""Draw the README's moving picture: the simulated arm, its reward, and the stop; beside it a failure and its reason.

    python scripts/demo_picture.py --policy-path outputs/train/demo      # docs/images/so101_demo.webp

Plays two episodes with a policy of the demo, as fast as possible, and stops each as lerobot-rollout would.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot_robot_so101_sim import SO101Sim, SO101SimConfig
from PIL import Image, ImageDraw, ImageFont
from shared.checkpoint import find_policy, load_policy
from shared.cli import UserError, run_cli
from shared.drawing import BLUE, GREY, VERMILION
from shared.rendering import choose_mujoco_gl
from simulation.so101.rollouts import Rollout, roll_out

from rewact.stopping import HOLD_S, StopRule, hold_frames

WIDTH, HEIGHT = 400, 300  # pixels of an image of the arm
PLOT = 120  # pixels below it
MARGIN = 10
LOOK_AT, DISTANCE, AZIMUTH, ELEVATION = (0.17, 0.0, 0.08), 0.55, 145.0, -28.0  # metres and degrees
AFTER_S = 6.0  # for which an episode goes on after the task is done, unless the reward stops it before
ENDING_S = 2.5  # seconds for which the end is shown
MOST_BYTES = 3_000_000


@dataclass
class Played:
    """An episode until it was stopped.

    Attributes:
        images: (H, W, 3) uint8 of every frame.
        reward: (T,).
        verdict: how it ended, in words.
        good: whether that is a success.
    """

    images: list[np.ndarray]
    reward: np.ndarray
    verdict: list[str]
    good: bool


class Camera:
    """Films the simulated arm at a size for people, from where all of it is seen."""

    def __init__(self, robot: SO101Sim):
        import mujoco

        self.data, model = robot.arm.data, robot.arm.model
        size = model.vis.global_
        size.offwidth, size.offheight = max(size.offwidth, 2 * WIDTH), max(size.offheight, 2 * HEIGHT)
        self.renderer = mujoco.Renderer(model, 2 * HEIGHT, 2 * WIDTH)
        self.view = mujoco.MjvCamera()
        self.view.lookat[:] = LOOK_AT
        self.view.distance, self.view.azimuth, self.view.elevation = DISTANCE, AZIMUTH, ELEVATION
        self.images: list[np.ndarray] = []

    def __call__(self) -> None:
        self.renderer.update_scene(self.data, self.view)
        pixels = self.renderer.render().reshape(HEIGHT, 2, WIDTH, 2, 3)
        self.images.append(pixels.mean(axis=(1, 3)).round().astype(np.uint8))


def stop(rollout: Rollout, images: list[np.ndarray], threshold: float, earliest: int, fps: int) -> Played:
    """Cut an episode where lerobot-rollout with --stop_on_reward --stop_on_failure=true would have ended it."""
    hold = hold_frames(HOLD_S, fps)
    done, failed = StopRule(threshold, hold, earliest), StopRule(0.5, hold)
    for i, (reward, ok) in enumerate(zip(rollout.reward, rollout.ok, strict=True)):
        if done(reward):
            return Played(images[: i + 1], rollout.reward[: i + 1], ["done: the arm stops"], True)
        if failed(1 - ok):
            verdict = ["failed: the arm stops", *rollout.reasons[:1]]
            return Played(images[: i + 1], rollout.reward[: i + 1], verdict, False)
    return Played(images, rollout.reward, ["not stopped"], False)


def draw(played: Played, i: int, longest: int) -> Image.Image:
    """The picture of frame i: the arm, and the reward up to here."""
    n = len(played.images)
    now = min(i, n - 1)
    picture = Image.new("RGB", (WIDTH, HEIGHT + PLOT), "white")
    picture.paste(Image.fromarray(played.images[now]))
    pen = ImageDraw.Draw(picture)
    left, right, top, bottom = MARGIN + 20, WIDTH - MARGIN, HEIGHT + MARGIN, HEIGHT + PLOT - MARGIN
    font = ImageFont.load_default(13)

    def place(frame: int, reward: float) -> tuple[float, float]:
        return left + (right - left) * frame / (longest - 1), bottom - (bottom - top) * reward

    for level in (0, 1):
        pen.line([place(0, level), place(longest - 1, level)], fill="#dddddd")
        pen.text((MARGIN, place(0, level)[1] - 8), str(level), fill=GREY, font=font)
    points = [place(frame, float(played.reward[frame])) for frame in range(now + 1)]
    if len(points) > 1:
        pen.line(points, fill=BLUE, width=3, joint="curve")
    pen.text(
        (left + 6, top + 2), f"reward {played.reward[now]:.2f}", fill=BLUE, font=ImageFont.load_default(15)
    )
    if i >= n - 1:
        colour = BLUE if played.good else VERMILION
        pen.rectangle([0, 0, WIDTH - 1, HEIGHT - 1], outline=colour, width=5)
        for line, text in enumerate(played.verdict):
            size = 20 if line == 0 else 14
            pen.text((14, 12 + 28 * line), text, fill=colour, font=ImageFont.load_default(size),
                stroke_width=3, stroke_fill="white")  # fmt: skip
    return picture


def main() -> None:
    # fmt: off
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy-path",
        help="a run of the demo (default: the newest run)")
    parser.add_argument("--seeds", type=int, nargs=2, default=[2000, 2001],
        help="of the success and of the failure")
    parser.add_argument("--failure", default="slip",
        help="what goes wrong in the second")
    parser.add_argument("--output", type=Path, default=Path("docs/images/so101_demo.webp"), metavar="FILE",
        help="the animated WebP to write")
    args = parser.parse_args()
    # fmt: on
    folder, _ = find_policy(args.policy_path)
    policy, preprocessor, postprocessor = load_policy(folder)
    threshold = policy.config.reward_stop_threshold
    if threshold is None:
        raise UserError(f"{folder} has no threshold: make calibrate POLICY={folder}")
    os.environ["MUJOCO_GL"] = choose_mujoco_gl()
    image = next(iter(policy.config.image_features.values()))
    robot = SO101Sim(SO101SimConfig(image_size=image.shape[1], real_time=False))
    earliest = int(policy.model.reward_head.filter.earliest)
    episodes = []
    with robot:
        camera = Camera(robot)
        for seed, failure in zip(args.seeds, ("none", args.failure), strict=True):
            camera.images = []
            rollout = roll_out(
                robot, policy, preprocessor, postprocessor, seed, failure, watch=camera, after=AFTER_S
            )
            episodes.append(stop(rollout, camera.images, threshold, earliest, robot.config.fps))
            print(
                f"seed {seed}, {failure}: {'; '.join(episodes[-1].verdict)} after {len(episodes[-1].images)} frames"
            )
        camera.renderer.close()
    longest = max(len(played.images) for played in episodes)
    fps = robot.config.fps
    pictures = []
    for i in range(longest + round(ENDING_S * fps)):
        picture = Image.new("RGB", (2 * WIDTH + MARGIN, HEIGHT + PLOT), "white")
        for column, played in enumerate(episodes):
            picture.paste(draw(played, i, longest), (column * (WIDTH + MARGIN), 0))
        pictures.append(picture)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(
        args.output,
        save_all=True,
        append_images=pictures[1:],
        duration=1000 // fps,
        loop=0,
        quality=60,
        method=6,
    )
    size = args.output.stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{args.output} has {size / 1e6:.1f} MB; at most {MOST_BYTES / 1e6:g} are wanted.")
    print(f"{args.output}: {len(pictures)} frames, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_cli(main)
