"""Watch what a trained policy says about the progress of each episode, and score it.

    python scripts/visualise.py                                           # the newest run in outputs/train
    python scripts/visualise.py --policy-path outputs/train/banana        # a run, a checkpoint or a Hub id
    python scripts/visualise.py --policy-path outputs/train/banana --episodes 40-47
    python scripts/visualise.py --policy-path outputs/train/banana --dataset-repo-id me/other_data

Writes, for each episode, a video (the policy's camera views with the reward curve growing under them) and a
picture (the whole curve with a few frames); for the run, curves.png with all curves and no frames, and
summary.json with the figures that the table on the terminal shows.

Without --episodes or --episode-id it takes the episodes that the checkpoint was not trained on. The figures
of the clock, which only counts frames, stand beside the policy's: see scripts/reward_metrics.py.
"""

import argparse
import contextlib
import difflib
import io
import json
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import matplotlib

matplotlib.use("Agg")  # before pyplot: no screen is needed, and none may be there

import matplotlib.pyplot as plt
import numpy as np
import torch
from huggingface_hub import snapshot_download
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from PIL import Image, ImageDraw, ImageFont
from safetensors import safe_open
from shared.cli import UserError, at_least, format_episodes, parse_episodes
from shared.episodes import Choice, choose_episodes, load_meta
from shared.metrics import METRICS, clock, episode_metrics, summarise
from tqdm import tqdm

from lerobot.configs import FeatureType, PreTrainedConfig
from lerobot.configs.default import DatasetConfig
from lerobot.datasets import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.datasets.reward_labels import ProgressLabels, make_reward_labels
from lerobot.policies import get_policy_class, make_pre_post_processors
from lerobot.processor import RenameObservationsProcessorStep
from lerobot.utils.device_utils import is_torch_device_available
from lerobot.utils.feature_utils import dataset_to_policy_features

# Okabe and Ito's palette, which colour-blind readers can tell apart; the line styles differ as well.
PREDICTED, LABEL, CLOCK, WARNING = "#0072B2", "#666666", "#E69F00", "#C8330A"
N_THUMBNAILS = 6
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
RUNS = Path("outputs/train")


# ------------------------------------------------------------------------------------------ the checkpoint


def find_policy(path: str | None) -> tuple[Path, str]:
    """The folder with the policy's config.json, and a name for its run.

    Args:
        path: a pretrained_model folder, a checkpoint, a run, or a model on the Hub; None for the newest run.
    """
    if path is None:
        # Search for the file and not for the folder: `last` is a link, which ** does not follow by itself.
        configs = RUNS.glob("**/checkpoints/last/pretrained_model/config.json")
        newest = max(configs, key=lambda config: config.stat().st_mtime, default=None)
        if newest is None:
            raise UserError(f"no trained run in {RUNS}: train one (make train) or give --policy-path.")
        path = str(newest.parent)

    folder = Path(path)
    if folder.is_dir():
        steps = sorted(
            (p for p in folder.glob("checkpoints/*") if p.name.isdecimal()), key=lambda p: int(p.name)
        )
        candidates = [folder, folder / "pretrained_model", folder / "last" / "pretrained_model"]
        candidates += [folder / "checkpoints" / "last" / "pretrained_model"]
        candidates += [step / "pretrained_model" for step in reversed(steps)]  # copied without its links
        for candidate in candidates:
            if (candidate / "config.json").is_file():
                return candidate, run_name(candidate)
        raise UserError(f"no policy in {path}: neither it nor its checkpoints hold a config.json.")
    if folder.exists():
        raise UserError(f"{path} is a file: --policy-path takes the folder that holds config.json.")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", path):
        raise UserError(f"no such folder: {path}.")
    try:
        folder = Path(snapshot_download(path, allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # the Hub's client raises many unrelated types
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{path} is neither a folder here nor a model to be had from the Hub: {reason}"
        ) from error
    if not (folder / "config.json").is_file():
        raise UserError(f"{path} on the Hub is no policy: it has no config.json.")
    return folder, path.replace("/", "_")


def run_name(pretrained_model: Path) -> str:
    """A short name for the run of .../<run>/checkpoints/<step>/pretrained_model."""
    parents = pretrained_model.resolve().parents
    if len(parents) < 4 or parents[1].name != "checkpoints":
        return pretrained_model.resolve().name
    run = parents[2]
    # LeRobot's own default is outputs/train/<date>/<time>_<job>: the time alone is no name.
    return f"{run.parent.name}_{run.name}" if re.fullmatch(r"\d{4}-\d\d-\d\d", run.parent.name) else run.name


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def override_arguments(overrides: list[str], config_class: type[PreTrainedConfig]) -> list[str]:
    """['n_action_steps=10'] as arguments for LeRobot's config parser, unknown names refused by name."""
    known = [f.name for f in fields(config_class)]
    arguments = []
    for override in overrides:
        name, equals, value = override.removeprefix("--").partition("=")
        if not equals:
            raise UserError(f"--policy-overrides takes name=value, got '{override}'.")
        if name.split(".")[0] not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(sorted(known))}."
            raise UserError(f"--policy-overrides: {config_class.__name__} has no field '{name}': {hint}")
        arguments.append(f"--{name}={value}")
    return arguments


def load_policy(folder: Path, overrides: list[str], device: str) -> tuple[torch.nn.Module, Any]:
    """The policy, ready to predict on `device`, and its own saved pre-processor."""
    policy_type = read_json(folder / "config.json").get("type")
    if policy_type not in PreTrainedConfig.get_known_choices():
        unpatched = (
            "apply the patch series first (make apply)." if policy_type == "rewact" else "is it a policy?"
        )
        raise UserError(f"LeRobot does not know the policy type '{policy_type}' of {folder}: {unpatched}")
    config_class = PreTrainedConfig.get_choice_class(policy_type)
    arguments = override_arguments(overrides, config_class)

    # The backbone's ImageNet weights would be downloaded only to be overwritten by the checkpoint's.
    defaults = [f"--device={device}"]
    if "pretrained_backbone_weights" in {f.name for f in fields(config_class)}:
        defaults.append("--pretrained_backbone_weights=null")
    parser_output = io.StringIO()
    try:
        with contextlib.redirect_stderr(parser_output):
            config = PreTrainedConfig.from_pretrained(folder, cli_overrides=defaults + arguments)
    except (Exception, SystemExit) as error:  # LeRobot's parser raises its own types, and exits on some
        said = (parser_output.getvalue() if isinstance(error, SystemExit) else str(error)).strip().split("\n")
        what = f"--policy-overrides {' '.join(overrides)}" if overrides else f"{folder}/config.json"
        raise UserError(f"{what} does not make a valid {config_class.__name__}: {said[-1]}") from error

    if not getattr(config, "use_reward_head", False):
        raise UserError(
            f"the policy at {folder} (type '{policy_type}') has no reward head: "
            "train one with --policy.type=rewact (make train does)."
        )
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise UserError(f"no weights at {weights}.")
    with safe_open(weights, framework="pt") as checkpoint:
        if not any("reward_head." in name for name in checkpoint.keys()):  # noqa: SIM118 (not a dict)
            raise UserError(f"{weights} holds no reward head: the override would draw an untrained one.")
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # LeRobot announces here where it loads from
            policy = get_policy_class(config.type).from_pretrained(folder, config=config)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the weights of {folder} do not fit its config: {reason[:300]}") from error
    try:
        preprocessor, _ = make_pre_post_processors(
            config, str(folder), preprocessor_overrides={"device_processor": {"device": device}}
        )
    except FileNotFoundError as error:
        raise UserError(f"{folder} has no saved pre-processor (policy_preprocessor.json).") from error
    return policy.to(device).eval(), preprocessor


def choose_device(device: str | None) -> str:
    """The device asked for, refused where it is not available; without one an accelerator if there is one."""
    if device is None:
        return next((name for name in ("cuda", "mps", "xpu") if is_torch_device_available(name)), "cpu")
    try:
        available = is_torch_device_available(device)
    except ValueError:
        available = False
    if not available:
        raise UserError(f"--device {device} is not available here.")
    return device


# --------------------------------------------------------------------------------------------- the data set


def match_inputs(config: PreTrainedConfig, preprocessor: Any, meta: LeRobotDatasetMetadata) -> dict[str, str]:
    """The data set's feature for each of the policy's inputs, refusing a data set that cannot feed it.

    Returns:
        {data set key: policy key}, cameras first.
    """
    # A policy may have been trained under other names than its data set's: its pre-processor renames.
    renamed = {}
    for step in preprocessor.steps:
        if isinstance(step, RenameObservationsProcessorStep):
            renamed.update({new: old for old, new in step.rename_map.items()})
    available = dataset_to_policy_features(meta.features)
    wanted = {}
    for name, feature in config.input_features.items():
        wanted[renamed[name] if renamed.get(name) in available else name] = (name, feature)

    missing = [key for key in wanted if key not in available]
    if cameras := [key for key in missing if wanted[key][1].type is FeatureType.VISUAL]:
        raise UserError(
            f"cameras don't match: the policy needs {', '.join(cameras)}, "
            f"'{meta.repo_id}' has {', '.join(meta.camera_keys) or 'no cameras'}."
        )
    if missing:
        raise UserError(
            f"the policy needs {', '.join(missing)}, '{meta.repo_id}' has {', '.join(sorted(available))}."
        )
    for key, (_, feature) in wanted.items():
        got, expected = tuple(available[key].shape), tuple(feature.shape)
        if feature.type is FeatureType.VISUAL and got[0] == expected[0]:
            continue  # ACT takes any picture size; a changed one is the user's to judge by the figures
        if got != expected:
            raise UserError(
                f"{key} has shape {got} in '{meta.repo_id}', the policy was trained on {expected}."
            )
    return {
        key: name for key, (name, _) in sorted(wanted.items(), key=lambda w: w[0] not in meta.camera_keys)
    }


def open_data_set(
    meta: LeRobotDatasetMetadata,
    root: str | None,
    episodes: list[int],
    inputs: dict[str, str],
    tolerance_s: float,
) -> LeRobotDataset:
    """The chosen episodes, single frames without action chunks, decoding only the policy's cameras."""
    dataset = LeRobotDataset(
        meta.repo_id,
        root=root,
        episodes=sorted(episodes),
        revision=meta.revision,
        tolerance_s=tolerance_s,
        return_uint8=True,  # as in training, which divides by 255 afterwards
    )
    # A data set decodes every camera that its metadata names, and has no option for less.
    unused = [key for key in dataset.meta.camera_keys if key not in inputs]
    in_table = [key for key in unused if key in dataset.hf_dataset.column_names]
    if in_table:
        dataset.reader.hf_dataset = dataset.hf_dataset.remove_columns(in_table)
    for key in unused:
        del dataset.meta.features[key]
    return dataset


def rows_of_episode(dataset: LeRobotDataset, episode: int) -> list[int]:
    """The positions of the episode's frames in a data set opened with a selection of episodes, in order."""
    first = dataset.meta.episodes["dataset_from_index"][episode]
    last = dataset.meta.episodes["dataset_to_index"][episode]
    positions = dataset.absolute_to_relative_idx
    return [index if positions is None else positions[index] for index in range(first, last)]


def read_frames(
    dataset: LeRobotDataset, first: int, n: int, keys: Iterable[str]
) -> tuple[dict[str, torch.Tensor], str]:
    """What the data set has under `keys` in `n` frames of an episode from position `first` on, and the task there.

    As one item with a window of time, so that each video is opened once and not for every frame.

    Returns:
        {key: (n, ...)}, equal to the items one by one.
    """
    reader, windows = dataset.reader, dataset.reader.delta_indices
    reader.delta_indices = {key: list(range(n)) for key in keys} if n > 1 else None
    try:
        item = dataset[first]
    finally:
        reader.delta_indices = windows
    return {key: item[key] if n > 1 else item[key][None] for key in keys}, item["task"]


def to_picture(image: torch.Tensor) -> np.ndarray:
    """(C, H, W) uint8 or float from the data set as an (H, W, 3) uint8 picture."""
    picture = image.permute(1, 2, 0).numpy()
    if picture.dtype != np.uint8:
        scale = 255 if picture.shape[2] == 3 else 255 / max(float(picture.max()), 1e-6)  # else a depth map
        picture = (picture * scale).clip(0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(picture if picture.shape[2] == 3 else picture[..., :1].repeat(3, axis=2))


@torch.inference_mode()
def predict(
    policy: torch.nn.Module,
    preprocessor: Any,
    dataset: LeRobotDataset,
    rows: list[int],
    inputs: dict[str, str],
    batch_size: int = 32,
    dtype: torch.dtype = torch.float32,
) -> Iterator[tuple[dict[str, torch.Tensor], float, float]]:
    """Yields an episode's frames, reading a batch at a time: the camera views {key: (C, H, W)}, the reward as
    `select_action` gives it, and that of the frame alone."""
    policy.reset()
    device = torch.device(policy.config.device)
    precision = contextlib.nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)
    for start in range(0, len(rows), batch_size):
        n = min(batch_size, len(rows) - start)
        frames, task = read_frames(dataset, rows[start], n, inputs)
        batch: dict[str, Any] = {
            key: value.to(torch.float32) / 255.0 if value.dtype == torch.uint8 else value
            for key, value in frames.items()
        }
        batch["task"] = [task] * n  # which ACT does not read
        with precision:
            evidence = policy.reward_evidence(preprocessor(batch))
        alone = policy.model.reward_head.value(evidence.logits)  # (B,)
        if alone.shape != (n,):
            raise ValueError(f"the reward head gave shape {tuple(alone.shape)} for {n} frames.")
        reward = torch.cat([policy.follow_reward(evidence.samples(slice(i, i + 1))) for i in range(n)])
        cameras = [key for key in inputs if key in dataset.meta.camera_keys]
        for i, values in enumerate(zip(reward.float().tolist(), alone.float().tolist(), strict=True)):
            yield {key: frames[key][i] for key in cameras}, *values


# ---------------------------------------------------------------------------------------------- the drawing


@dataclass
class Caption:
    """What is written over an episode's pictures."""

    title: str
    status: str  # held out, other data set, or a warning
    is_warning: bool

    @property
    def colour(self) -> str:
        return WARNING if self.is_warning else LABEL


def caption(repo_id: str, episode: int, choice: Choice) -> Caption:
    short = repo_id if len(repo_id) <= 40 else "…" + repo_id[-39:]
    title = f"{short}  ·  episode {episode}"
    if choice.trained_on is None:
        return Caption(title, "may have been trained on", True)
    if episode in choice.trained_on:
        return Caption(title, "TRAINING EPISODE: not a test of the reward", True)
    return Caption(title, "held out" if choice.trained_on else "not the training data set", False)


def camera_name(key: str) -> str:
    return key.removeprefix("observation.").removeprefix("images.")


def style_axes(ax: plt.Axes, duration: float) -> None:
    """The axes that all three kinds of picture share: reward in [0, 1] over seconds."""
    ax.set_xlim(0, duration) if duration > 0 else ax.set_xlim(-0.5, 0.5)
    ax.set_ylim(-0.04, 1.04)
    ax.set_yticks([0, 0.5, 1])
    ax.grid(color="#e4e4e4", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


class VideoFrames:
    """Draws the frames of one episode's video.

    Everything that stays the same is drawn once with matplotlib; a frame then costs a copy, one line segment
    and three short texts. Frames come in order: the curve is only ever added to, so nothing but the current
    frame is held, however long the episode.
    """

    HEADER, NAMES, READOUT, PLOT, PAD, GAP = 60, 22, 50, 220, 14, 8  # heights and distances in pixels
    DPI = 100

    def __init__(self, caption: Caption, shapes: dict[str, tuple[int, int]], label: np.ndarray, fps: float):
        """
        Args:
            caption: what to write over the video.
            shapes: height and width of each camera's picture.
            label: (T,) the label of every frame.
            fps: frames a second.
        """
        self.label, self.fps = label, fps
        # Small cameras are enlarged: 96x96 could not be seen, and the curve needs the width anyway.
        self.width = {1: 720, 2: 1080}.get(len(shapes), 1440)
        room = self.width - 2 * self.PAD - self.GAP * (len(shapes) - 1)
        height = min(480, int(room / sum(w / h for h, w in shapes.values())))
        sizes = {key: (round(height * w / h), height) for key, (h, w) in shapes.items()}
        x = (self.width - sum(w for w, _ in sizes.values()) - self.GAP * (len(shapes) - 1)) // 2
        y = self.HEADER + self.NAMES
        self.boxes: dict[str, tuple[int, int, int, int]] = {}
        for key, (w, h) in sizes.items():
            self.boxes[key] = (x, y, w, h)
            x += w + self.GAP
        self.readout_y = y + height + 4
        self.height = self.readout_y + self.READOUT + self.PLOT
        self.height += self.height % 2  # h264 in yuv420p wants even sizes

        self.numbers = ImageFont.truetype(findfont(FontProperties(weight="bold")), 30)
        self.text = ImageFont.truetype(findfont(FontProperties()), 18)
        self._draw_static(caption)
        self.last: tuple[int, int] | None = None

    def _draw_static(self, caption: Caption) -> None:
        size = (self.width / self.DPI, self.height / self.DPI)
        fig = plt.figure(figsize=size, dpi=self.DPI, facecolor="white")

        def write(x: float, y: float, text: str, **style: Any) -> None:
            fig.text(x / self.width, 1 - y / self.height, text, va="center", **style)

        write(self.PAD, 20, caption.title, fontsize=13, weight="bold")
        write(self.PAD, 44, caption.status, fontsize=11, color=caption.colour)
        for key, (x, y, w, _) in self.boxes.items():
            write(x + w / 2, y - self.NAMES / 2, camera_name(key), fontsize=10, ha="center", color=LABEL)

        # The readout names the two curves and so is their legend.
        middle = 1 - (self.readout_y + self.READOUT / 2) / self.height
        self.columns = (self.PAD + 4, self.PAD + 250)
        for x, colour, style in zip(self.columns, (PREDICTED, LABEL), ("-", "--"), strict=True):
            ends = [x / self.width, (x + 30) / self.width]
            fig.add_artist(Line2D(ends, [middle, middle], color=colour, linewidth=2.5, linestyle=style))
        write(
            self.columns[0] + 40, self.readout_y + self.READOUT / 2, "predicted", fontsize=12, color=PREDICTED
        )
        write(self.columns[1] + 40, self.readout_y + self.READOUT / 2, "label", fontsize=12, color=LABEL)

        left, bottom, top = 48, 44, self.readout_y + self.READOUT + 6
        ax = fig.add_axes((left / self.width, bottom / self.height, 1 - (left + 24) / self.width,
                           (self.height - top - bottom) / self.height))  # fmt: skip
        style_axes(ax, (len(self.label) - 1) / self.fps)
        ax.set_xlabel("seconds", fontsize=10, labelpad=2)
        seconds = np.arange(len(self.label)) / self.fps
        ax.plot(seconds, self.label, color=LABEL, linestyle="--", linewidth=1.8)
        fig.canvas.draw()
        self.canvas = np.asarray(fig.canvas.buffer_rgba())[: self.height, : self.width, :3].copy()
        # Where a value lands, so that the curve can go on without matplotlib.
        corners = ax.transData.transform([(0, 0), (1, 1)])
        self.origin, self.scale = corners[0], corners[1] - corners[0]
        self.plot_top, self.plot_bottom = (
            round(self.height - ax.transData.transform((0, y))[1]) for y in (1.04, -0.04)
        )
        plt.close(fig)

    def _pixel(self, frame: int, reward: float) -> tuple[int, int]:
        """Where a reward is drawn, in 1/16 pixels: cv2's sub-pixel coordinates."""
        x, y = self.origin + self.scale * (frame / self.fps, reward)
        return round(x * 16), round((self.height - y) * 16)

    def draw(self, frame: int, images: dict[str, torch.Tensor], reward: float) -> np.ndarray:
        """The video's picture (H, W, 3) uint8 of frame number `frame`."""
        here = self._pixel(frame, reward)
        blue = tuple(int(PREDICTED[i : i + 2], 16) for i in (1, 3, 5))
        cv2.line(self.canvas, self.last or here, here, blue, 2, cv2.LINE_AA, 4)
        self.last = here

        picture = self.canvas.copy()
        for key, (x, y, w, h) in self.boxes.items():
            image = to_picture(images[key])
            smaller = h < image.shape[0]
            picture[y : y + h, x : x + w] = cv2.resize(
                image, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
            )
        cursor = here[0] // 16
        cv2.line(picture, (cursor, self.plot_top), (cursor, self.plot_bottom), (150, 150, 150), 1)
        cv2.circle(picture, here, 5 * 16, blue, -1, cv2.LINE_AA, 4)

        strip = Image.fromarray(picture[self.readout_y : self.readout_y + self.READOUT])
        pen, middle = ImageDraw.Draw(strip), self.READOUT // 2
        pen.text((self.columns[0] + 132, middle), f"{reward:.2f}", PREDICTED, self.numbers, anchor="lm")
        pen.text((self.columns[1] + 94, middle), f"{self.label[frame]:.2f}", LABEL, self.text, anchor="lm")
        count = f"{frame / self.fps:.1f} s   frame {frame} of {len(self.label) - 1}"
        pen.text((self.width - self.PAD, middle), count, "#222222", self.text, anchor="rm")
        picture[self.readout_y : self.readout_y + self.READOUT] = np.asarray(strip)
        return picture


class VideoFile:
    """An mp4 that plays anywhere: h264 in yuv420p, or MPEG-4 where PyAV was built without x264.

    A thread of its own encodes, while the next frames are looked at and drawn.
    """

    WAITING = 32  # pictures at most, about 2 MB each

    def __init__(self, path: Path, fps: float, width: int, height: int):
        x264 = "libx264" in av.codecs_available
        self.container = av.open(str(path), "w", options={"movflags": "faststart"})
        rate = Fraction(fps).limit_denominator(1001)
        self.stream = self.container.add_stream("libx264" if x264 else "mpeg4", rate=rate)
        self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, "yuv420p"
        if x264:
            # As good and about as small as superfast at crf 20, in half the time: most of a picture is flat.
            self.stream.options = {"crf": "22", "preset": "ultrafast"}
        else:
            self.stream.bit_rate = 4_000_000
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "VideoFile":
        return self

    def write(self, picture: np.ndarray) -> None:
        """Takes an (H, W, 3) uint8 picture of even H and W, which must not change any more.

        Raises what encoding an earlier one has raised.
        """
        if len(self.waiting) == self.WAITING:
            self.waiting.popleft().result()
        self.waiting.append(self.thread.submit(self._encode, picture))

    def _encode(self, picture: np.ndarray) -> None:
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)  # a quarter of the time that PyAV takes for it
        self.container.mux(self.stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                for picture in self.waiting:
                    picture.result()
                self.container.mux(self.stream.encode())
        finally:
            self.thread.shutdown(cancel_futures=True)
            self.container.close()


def plot_curves(
    ax: plt.Axes,
    reward: np.ndarray,
    label: np.ndarray,
    baseline: np.ndarray | None,
    alone: np.ndarray,
    fps: float,
    linewidth: float = 2.2,
) -> None:
    """Reward, label, clock and the reward of each frame alone, each (T,), over seconds."""
    seconds = np.arange(len(reward)) / fps
    marker = "o" if len(reward) == 1 else ""  # a line through one point is invisible
    style_axes(ax, seconds[-1])
    ax.plot(
        seconds, label, color=LABEL, linestyle="--", linewidth=0.7 * linewidth, marker=marker, label="label"
    )
    if baseline is not None:
        ax.plot(
            seconds, baseline, color=CLOCK, linestyle=":", linewidth=linewidth, marker=marker, label="clock"
        )
    if not np.array_equal(alone, reward):
        ax.plot(
            seconds, alone, color=PREDICTED, linewidth=0.4 * linewidth, alpha=0.6, label="one frame alone"
        )
    ax.plot(seconds, reward, color=PREDICTED, linewidth=linewidth, marker=marker, label="predicted")


def legend_entries(ax: plt.Axes) -> tuple[list[Any], list[str]]:
    """The lines of plot_curves and their names, the policy's first although it is drawn last."""
    handles, names = ax.get_legend_handles_labels()
    return [handles[-1], *handles[:-1]], [names[-1], *names[:-1]]


def figures_line(row: dict[str, Any]) -> str:
    mine = (
        f"MAE {number(row['mae'])}   Spearman {number(row['spearman'])}   final {number(row['final_reward'])}"
    )
    if row["clock_mae"] is None:
        return mine
    return f"{mine}      clock:  MAE {number(row['clock_mae'])}   Spearman {number(row['clock_spearman'])}"


def thumbnail_frames(length: int) -> list[int]:
    """The frames to show over the curve: the first, the last and an even spread between."""
    return sorted({round(i) for i in np.linspace(0, length - 1, N_THUMBNAILS)})


def draw_picture(
    path: Path,
    caption: Caption,
    row: dict[str, Any],
    curves: tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray],
    thumbnails: dict[int, dict[str, np.ndarray]],
    fps: float,
) -> None:
    """The whole curve of an episode with a few frames over it, each tied to its moment."""
    cameras = list(thumbnails[0])
    n = len(thumbnails)
    width, left, right = 12.0, 0.65, 0.25  # inches
    cell = (width - left - right) / max(n, 4)
    rows = [cell * 0.94 * thumbnails[0][c].shape[0] / thumbnails[0][c].shape[1] for c in cameras]
    head, tie, plot, foot = 1.05, 0.42, 2.7, 0.55
    height = head + sum(rows) + 0.1 * len(rows) + tie + plot + foot
    fig = plt.figure(figsize=(width, height), dpi=110, facecolor="white")

    fig.text(left / width, 1 - 0.3 / height, caption.title, fontsize=15, weight="bold", va="center")
    fig.text(1 - right / width, 1 - 0.3 / height, caption.status, fontsize=12, va="center", ha="right",
             color=caption.colour, weight="bold" if caption.is_warning else "normal")  # fmt: skip
    fig.text(left / width, 1 - 0.64 / height, figures_line(row), fontsize=11, va="center", color="#333333")

    ax = fig.add_axes((left / width, foot / height, 1 - (left + right) / width, plot / height))
    plot_curves(ax, *curves, fps)
    ax.set_xlabel("seconds")
    ax.set_ylabel("reward")
    # Above the axes: a curve may pass through any corner inside.
    fig.legend(*legend_entries(ax), ncols=4, frameon=False, fontsize=11,
               loc="center right", bbox_to_anchor=(1 - 0.1 / width, 1 - 0.64 / height))  # fmt: skip

    for i, (frame, images) in enumerate(thumbnails.items()):
        top = height - head
        for camera, row_height in zip(cameras, rows, strict=True):
            x = left + (width - left - right - n * cell) / 2 + i * cell
            cell_ax = fig.add_axes(((x + 0.03 * cell) / width, (top - row_height) / height,
                                    0.94 * cell / width, row_height / height))  # fmt: skip
            cell_ax.imshow(images[camera], aspect="auto", interpolation="lanczos")
            cell_ax.set_xticks([])
            cell_ax.set_yticks([])
            cell_ax.spines[:].set_visible(False)
            if camera == cameras[0]:
                cell_ax.set_title(f"{frame / fps:.1f} s", fontsize=10, pad=3, color="#333333")
            if i == 0 and len(cameras) > 1:
                cell_ax.set_ylabel(camera_name(camera), fontsize=10, color="#333333")
            top -= row_height + 0.1
        moment = frame / fps
        fig.add_artist(ConnectionPatch((0.5, 0), (moment, 1.04), "axes fraction", "data", axesA=cell_ax, axesB=ax,
                                       color="#aaaaaa", linewidth=1))  # fmt: skip
        ax.axvline(moment, color="#cccccc", linewidth=0.8, zorder=0)
        ax.plot(moment, curves[0][frame], "o", color=PREDICTED, markersize=6, clip_on=False, zorder=5)
    fig.savefig(path)
    plt.close(fig)


def draw_overview(
    path: Path,
    title: str,
    rows: list[dict[str, Any]],
    curves: list[tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]],
    captions: list[Caption],
    fps: float,
) -> None:
    """The curves of all episodes in one picture, without frames."""
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(max(3.1 * columns, 6.4), 2.3 * lines + 1.1), dpi=110,
                             sharey=True, squeeze=False, layout="constrained")  # fmt: skip
    for ax in axes.flat[len(rows) :]:
        ax.set_visible(False)
    for ax, row, curve, note in zip(axes.flat, rows, curves, captions, strict=False):
        plot_curves(ax, *curve, fps, linewidth=1.6)
        warned = "  (trained on)" if row["trained_on"] else "  (unknown)" if note.is_warning else ""
        ax.set_title(f"episode {row['episode']}{warned}", fontsize=10, color=WARNING if warned else "black")
    for column in range(columns):  # under the lowest plot of each column
        [ax for ax in axes[:, column] if ax.get_visible()][-1].set_xlabel("seconds", fontsize=9)
    fig.supylabel("reward", fontsize=10)
    fig.suptitle(title, fontsize=12, weight="bold")
    fig.legend(*legend_entries(axes.flat[0]), ncols=4, frameon=False, loc="outside lower center", fontsize=10)
    fig.savefig(path)
    plt.close(fig)


# ------------------------------------------------------------------------------------------------- the run


def number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def table(rows: list[dict[str, Any]], means: dict[str, float | None]) -> str:
    """The figures of every episode and their means, as lines for the terminal."""
    lines = [
        f"{'':>8} {'':>7} {'':>8}  |{'policy':^29}|{'clock':^29}",
        f"{'episode':>8} {'frames':>7} {'trained':>8}  |"
        + "|".join([f" {'MAE':>8} {'Spearman':>9} {'final':>8} "] * 2),
    ]
    for row in [*rows, {"episode": "mean", "length": "", "trained_on": "", **means}]:
        trained = {True: "yes", False: "no", None: "unknown", "": ""}[row["trained_on"]]
        figures = [number(row[name]) for name in METRICS]
        lines.append(
            f"{row['episode']:>8} {row['length']:>7} {trained:>8}  |"
            + "|".join(f" {a:>8} {b:>9} {c:>8} " for a, b, c in (figures[:3], figures[3:]))
        )
    rule = "-" * len(lines[1])
    return "\n".join(line.rstrip() for line in [*lines[:2], rule, *lines[2:-1], rule, lines[-1]])


def make_output_dir(output_dir: str | None, run: str) -> Path:
    """A folder that holds nothing yet, so that no file of another run is overwritten or mistaken for ours."""
    if output_dir is not None:
        folder = Path(output_dir)
        if folder.exists() and not folder.is_dir():
            raise UserError(f"--output-dir {folder} is a file.")
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"--output-dir {folder} is not empty: name a new folder, or leave it out.")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1, 1000):
        folder = Path("outputs/visualise") / run / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        with contextlib.suppress(FileExistsError):  # another run of the same second
            folder.mkdir(parents=True)
            return folder
    raise UserError(f"outputs/visualise/{run} is full.")


def draw_episode(
    episode: int,
    stem: Path,
    policy: torch.nn.Module,
    preprocessor: Any,
    dataset: LeRobotDataset,
    inputs: dict[str, str],
    label: np.ndarray,
    baseline: np.ndarray | None,
    note: Caption,
    args: argparse.Namespace,
    progress: tqdm,
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Predicts and draws one episode in a single pass over its frames. Returns its row, its reward (T,) and that
    of each frame alone (T,)."""
    fps = dataset.meta.fps
    rows = rows_of_episode(dataset, episode)
    moments = set(thumbnail_frames(len(rows)))
    reward, alone = np.empty((2, len(rows)), dtype=np.float32)
    thumbnails: dict[int, dict[str, np.ndarray]] = {}
    drawing, video = None, None
    frames = predict(policy, preprocessor, dataset, rows, inputs, args.batch_size, DTYPES[args.model_dtype])
    with contextlib.ExitStack() as stack:
        for i, (images, value, value_alone) in enumerate(frames):
            if drawing is None:
                shapes = {key: tuple(image.shape[1:]) for key, image in images.items()}
                drawing = VideoFrames(note, shapes, label, fps)
                video = VideoFile(stem.with_suffix(".mp4"), fps, drawing.width, drawing.height)
                stack.enter_context(video)
            reward[i], alone[i] = value, value_alone
            video.write(drawing.draw(i, images, value))
            if i in moments:
                thumbnails[i] = {key: to_picture(image) for key, image in images.items()}
            progress.update()
    figures = episode_metrics(reward, label, baseline)
    draw_picture(stem.with_suffix(".png"), note, figures, (reward, label, baseline, alone), thumbnails, fps)
    return figures, reward, alone


@dataclass
class Opened:
    """A policy and the episodes to look at with it.

    Attributes:
        folder: the policy's config.json lies in it; `name` is that of its run, `step` that of the checkpoint.
        dataset: holds the episodes of `choice`, of the cameras `inputs` alone.
        labels: of the data set's episodes, made with `label_settings`.
    """

    folder: Path
    name: str
    step: int | None
    policy: torch.nn.Module
    preprocessor: Any
    dataset: LeRobotDataset
    inputs: dict[str, str]
    choice: Choice
    labels: ProgressLabels
    label_settings: dict[str, Any]

    def label(self, episode: int) -> np.ndarray:
        """(T,) what the policy was trained to predict for an episode, had it been trained on it."""
        if not self.labels.is_labelled(episode):  # excluded from the reward loss by hand
            return replace(self.labels, curves={}).episode(episode)
        return self.labels.episode(episode)


# What says how the labels of a training were made, of the `dataset` part of its train_config.json.
LABEL_SETTINGS = (
    "reward_start_pct",
    "reward_end_pct",
    "reward_interpolation",
    "reward_source",
    "reward_labels",
)


def labels_as_trained(
    dataset: LeRobotDataset, trained: dict[str, Any], choice: Choice
) -> tuple[ProgressLabels, dict[str, Any]]:
    """The labels of the data set, made as the training's were, and the settings."""
    settings = {key: trained[key] for key in LABEL_SETTINGS if trained.get(key) is not None}
    if choice.rule == "other-data-set":  # a label file is for one data set
        settings.pop("reward_labels", None)
    try:
        return make_reward_labels(dataset, DatasetConfig(repo_id=dataset.repo_id, **settings)), settings
    except ValueError as error:
        raise UserError(f"the labels of the training cannot be had here: {error}") from error


@dataclass
class Run:
    """A trained policy, and the data set to look at with it; nothing of either is loaded yet.

    Attributes:
        folder: the policy's config.json lies in it; `name` is that of its run, `step` that of the checkpoint.
        train_config: the checkpoint's train_config.json, None where it has none.
        meta: the data set's metadata; `root` is its folder as given or as in the training, None for LeRobot's own.
    """

    folder: Path
    name: str
    step: int | None
    train_config: dict[str, Any] | None
    meta: LeRobotDatasetMetadata
    root: str | None


def read_train_config(folder: Path) -> dict[str, Any] | None:
    path = folder / "train_config.json"
    return read_json(path) if path.is_file() else None


def find_run(args: argparse.Namespace) -> Run:
    """The policy and the data set that the arguments name, and says which they are."""
    folder, name = find_policy(args.policy_path)
    newest = f" (the newest run in {RUNS})" if args.policy_path is None else ""
    step = folder.resolve().parent.name  # behind the link `last`
    step = int(step) if step.isdecimal() else None
    print(f"policy    {folder}{'' if step is None else f', step {step}'}{newest}")
    train_config = read_train_config(folder)
    trained = (train_config or {}).get("dataset") or {}

    # What is not said about the data set comes from the training, as long as it is the same one.
    repo_id, root, revision = args.dataset_repo_id, args.dataset_root, None
    if repo_id is None and not trained:
        raise UserError(f"{folder} has no train_config.json that names a data set: give --dataset-repo-id.")
    repo_id = repo_id or trained["repo_id"]
    if root is None and repo_id == trained.get("repo_id"):
        root, revision = trained.get("root"), trained.get("revision")
    meta = load_meta(repo_id, root, revision)
    print(f"data set  {repo_id} at {meta.root}: {meta.total_episodes} episodes, {meta.fps} fps")
    return Run(folder, name, step, train_config, meta, root)


def load(
    folder: Path,
    meta: LeRobotDatasetMetadata,
    root: str | None,
    episodes: list[int],
    device: str,
    overrides: Sequence[str] = (),
) -> tuple[torch.nn.Module, Any, LeRobotDataset, dict[str, str]]:
    """The policy in `folder` with its pre-processor, the episodes, and which of their features are its inputs."""
    policy, preprocessor = load_policy(folder, list(overrides), device)
    inputs = match_inputs(policy.config, preprocessor, meta)
    tolerance_s = (read_train_config(folder) or {}).get("tolerance_s") or 1e-4
    return policy, preprocessor, open_data_set(meta, root, episodes, inputs, tolerance_s), inputs


def open_run(args: argparse.Namespace, device: str) -> Opened:
    """`find_run`, loaded, with the episodes that the arguments name or imply."""
    found = find_run(args)
    requested = args.episode_id if args.episodes is None else parse_episodes(args.episodes)
    choice = choose_episodes(found.train_config, found.meta, requested)
    policy, preprocessor, dataset, inputs = load(
        found.folder, found.meta, found.root, choice.episodes, device, args.policy_overrides
    )
    print(f"episodes  {format_episodes(choice.episodes)} ({choice.rule})")
    for warning in choice.warnings:
        print(f"WARNING   {warning}", file=sys.stderr)
    trained = (found.train_config or {}).get("dataset") or {}
    labels, settings = labels_as_trained(dataset, trained, choice)
    return Opened(
        found.folder, found.name, found.step, policy, preprocessor, dataset, inputs, choice, labels, settings
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Does what the module says; returns what it wrote to summary.json."""
    device = choose_device(args.device)
    opened = open_run(args, device)
    policy, preprocessor, dataset = opened.policy, opened.preprocessor, opened.dataset
    inputs, choice, repo_id = opened.inputs, opened.choice, opened.dataset.repo_id
    if not set(inputs) & set(dataset.meta.camera_keys):
        raise UserError(f"the policy at {opened.folder} sees no camera, so there is nothing to draw.")
    output_dir = make_output_dir(args.output_dir, opened.name)

    mean_train_length = float(np.mean(choice.train_lengths)) if choice.train_lengths else None
    lengths = {episode: len(rows_of_episode(dataset, episode)) for episode in choice.episodes}
    prefix = re.sub(r"[^\w.-]+", "_", repo_id)
    rows, curves, captions = [], [], []
    with tqdm(total=sum(lengths.values()), unit="frame") as progress:
        for done, episode in enumerate(choice.episodes, start=1):
            progress.set_description(f"episode {episode} ({done}/{len(choice.episodes)})")
            length = lengths[episode]
            label = opened.label(episode)
            baseline = None if mean_train_length is None else clock(length, mean_train_length)
            note = caption(repo_id, episode, choice)
            stem = output_dir / f"{prefix}_episode_{episode:06d}"
            figures, reward, alone = draw_episode(
                episode, stem, policy, preprocessor, dataset, inputs, label, baseline, note, args, progress
            )
            seen = None if choice.trained_on is None else episode in choice.trained_on
            files = {"video": f"{stem.name}.mp4", "picture": f"{stem.name}.png"}
            rows.append({"episode": episode, "length": length, "trained_on": seen, **figures, **files})
            curves.append((reward, label, baseline, alone))
            captions.append(note)

    means = summarise(rows)
    draw_overview(
        output_dir / "curves.png",
        f"{repo_id}  ·  run {opened.name}",
        rows,
        curves,
        captions,
        dataset.meta.fps,
    )
    summary = {
        "policy": {
            "path": str(opened.folder),
            "step": opened.step,
            "type": policy.config.type,
            "overrides": args.policy_overrides,
            "device": device,
            "model_dtype": args.model_dtype,
        },
        "dataset": {"repo_id": repo_id, "root": str(dataset.meta.root), "fps": dataset.meta.fps},
        "selection": {
            "rule": choice.rule,
            "trained_on": None if choice.trained_on is None else format_episodes(choice.trained_on),
        },
        "labels": opened.label_settings,
        "clock": {"mean_train_length": mean_train_length},
        "warnings": choice.warnings,
        "mean": means,
        "episodes": rows,
    }
    (output_dir / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")

    print(f"\n{table(rows, means)}\n")
    for warning in choice.warnings:  # again where the figures are read
        print(f"WARNING   {warning}", file=sys.stderr)
    print(f"written to {output_dir}: {len(rows)} videos and pictures, curves.png, summary.json")
    return summary


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], epilog=__doc__.split("\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    which = parser.add_mutually_exclusive_group()
    add = parser.add_argument
    add(
        "--policy-path",
        metavar="PATH",
        help="run, checkpoint, pretrained_model folder or Hub id (default: newest run)",
    )
    add("--dataset-repo-id", metavar="ID", help="data set to draw (default: the one trained on)")
    add(
        "--dataset-root", metavar="DIR", help="its folder, if it is neither on the Hub nor in LeRobot's cache"
    )
    which.add_argument("--episode-id", type=int, nargs="+", metavar="N", help="episodes to draw, one by one")
    which.add_argument(
        "--episodes", metavar="RANGE", help="episodes to draw as ranges, such as 40-47 or 0,3,5-7"
    )
    add("--output-dir", metavar="DIR", help="new or empty folder (default: outputs/visualise/<run>/<time>)")
    add(
        "--policy-overrides",
        nargs="+",
        default=[],
        metavar="K=V",
        help="fields of the policy's config to change",
    )
    add("--device", help="cpu, cuda, cuda:1, mps, … (default: an accelerator if there is one)")
    add(
        "--model-dtype",
        default="float32",
        choices=DTYPES,
        help="precision to compute in; below float32 by autocast",
    )
    add(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="frames a model call; changes speed, not figures",
    )
    args = parser.parse_args(arguments)
    at_least(parser, args, batch_size=1)
    return args


def main(arguments: list[str] | None = None) -> int:
    args = parse_arguments(arguments)
    try:
        run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
