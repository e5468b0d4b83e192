"""Predict and draw one episode."""

import contextlib
from pathlib import Path

import numpy as np
import torch
from shared.drawing import Curve
from shared.frames import rows_of_episode, to_image
from shared.metrics import episode_metrics
from shared.predict import BATCH_SIZE, Loaded, follow_nothing, predict_frames
from shared.stop_frame import stop_frame
from tqdm import tqdm

from rewact.keypoints import EpisodeLabel
from visualising.caption import Caption
from visualising.figures import draw_image, thumbnail_frames
from visualising.verdict import LargestFall, Verdict, make_verdict, reason_line
from visualising.video import VideoFile, VideoFrames


def draw_episode(
    loaded: Loaded,
    episode: int,
    stem: Path,
    caption: Caption,
    label: np.ndarray,
    clock: np.ndarray | None = None,
    success: bool | None = None,
    entry: EpisodeLabel | None = None,
    batch_size: int = BATCH_SIZE,
    dtype: torch.dtype = torch.float32,
    progress: tqdm | None = None,
) -> tuple[Curve, Verdict, dict[str, float | None]]:
    """Predict and draw an episode in a single pass over its frames.

    Args:
        loaded, episode, batch_size, dtype: as in `predict_frames`.
        stem: the path of the video and of the image, without .mp4 and .png.
        caption: what to write over them.
        label, clock: (T,) as in `Curve`.
        success: whether the episode is one, None where nobody has said it.
        entry: what a label file says about it.
        progress: a bar to move on by one with each frame.
    Returns:
        The curve of the episode, what it says in words, and its metrics.
    """
    fps = loaded.dataset.meta.fps
    length = len(rows_of_episode(loaded.dataset, episode))
    moments = set(thumbnail_frames(length))
    reward, ok, alone = np.empty((3, length), dtype=np.float32)
    reason = None
    fall = LargestFall(fps)
    fall_images: dict[str, np.ndarray] = {}
    thumbnails: dict[int, dict[str, np.ndarray]] = {}
    drawing: VideoFrames | None = None
    video: VideoFile | None = None
    with contextlib.ExitStack() as stack:
        for i, frame in enumerate(predict_frames(loaded, episode, batch_size, dtype)):
            if drawing is None or video is None:
                shapes = {key: tuple(image.shape[1:]) for key, image in frame.images.items()}
                drawing = VideoFrames(caption, shapes, label, fps)
                video = VideoFile(stem.with_suffix(".mp4"), fps, drawing.width, drawing.height)
                stack.enter_context(video)
            reward[i], ok[i], alone[i] = frame.reward, frame.ok, frame.alone
            reason = reason or frame.reason  # of the first alarm
            video.write(drawing.draw(i, frame.images, frame.reward, frame.ok, reason))
            is_lowest = fall(frame.reward)
            if i in moments or is_lowest:
                images = {key: to_image(image) for key, image in frame.images.items()}
                fall_images = images if is_lowest else fall_images
                thumbnails |= {i: images} if i in moments else {}
            if progress is not None:
                progress.update()
    curve = Curve(reward, alone, label, clock, fps, ok, reason)
    if entry is not None:
        curve.keypoints = [(point.frame_index, point.reward) for point in entry.keypoints]
        curve.failed_at = entry.failed_at
    curve.threshold = loaded.policy.config.reward_stop_threshold
    if curve.threshold is not None:
        bayes = loaded.policy.model.reward_head.filter
        curve.stop = stop_frame(reward, curve.threshold, fps, 0 if bayes is None else int(bayes.earliest))
    verdict = make_verdict(curve, success)
    metrics = episode_metrics(reward, label, clock, alone, follow_nothing(loaded.policy, length))
    if fall.frame is not None:
        thumbnails[fall.frame] = fall_images
    shown = {i: thumbnails[i] for i in thumbnail_frames(length, fall.frame)}
    draw_image(
        stem.with_suffix(".png"),
        caption,
        verdict,
        curve,
        metrics,
        shown,
        fall.frame,
        reason_line(curve, fall),
    )
    return curve, verdict, metrics
