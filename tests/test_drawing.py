"""scripts/visualising/: the video and the images of an episode, and the table."""

import av
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from shared.drawing import Curve
from shared.frames import to_image
from shared.metrics import episode_metrics
from tiny_run import FPS
from visualising.caption import Caption
from visualising.figures import count_columns, draw_image, draw_overview, thumbnail_frames
from visualising.report import table
from visualising.verdict import LargestFall, make_verdict, reason_line
from visualising.video import VideoFile, VideoFrames


def test_a_video_has_every_image_in_order_and_in_its_colours(tmp_path):
    n = VideoFile.WAITING + 8
    greys = np.linspace(0, 255, n).round().astype(np.uint8)
    with VideoFile(tmp_path / "video.mp4", 30, 64, 48) as video:
        for grey in greys:
            video.write(np.full((48, 64, 3), (grey, 200, 40), dtype=np.uint8))
    with av.open(str(tmp_path / "video.mp4")) as container:
        images = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    assert len(images) == n
    middle = images[:, 24, 32].astype(int)
    np.testing.assert_allclose(middle, [(grey, 200, 40) for grey in greys], atol=12)


@pytest.mark.parametrize("n", [1, VideoFile.WAITING + 8])
def test_an_image_that_cannot_be_encoded_ends_the_video_with_its_error(tmp_path, monkeypatch, n):
    def fail(self, image):
        raise OSError("disk full")

    monkeypatch.setattr(VideoFile, "_encode", fail)
    with (
        pytest.raises(OSError, match="disk full"),
        VideoFile(tmp_path / "video.mp4", 30, 64, 48) as video,
    ):
        for _ in range(n):
            video.write(np.zeros((48, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("length", [1, 2])
def test_the_shortest_episodes_can_be_drawn(length, tmp_path):
    caption = Caption("tiny  ·  episode 0", "held-out episode")
    images = {"observation.image": torch.zeros(3, 96, 96, dtype=torch.uint8)}
    reward, label = np.full(length, 0.25, np.float32), np.zeros(length, np.float32)
    video = VideoFrames(caption, {"observation.image": (96, 96)}, label, FPS)
    for i in range(length):
        for ok, reason in ((1.0, None), (0.2, "robot state: gripper 0")):
            assert video.draw(i, images, 0.25, ok, reason).shape == (video.height, video.width, 3)
    thumbnails = {i: {k: to_image(v) for k, v in images.items()} for i in thumbnail_frames(length)}
    metrics = episode_metrics(reward, label, None)
    ok = np.linspace(1, 0, length, dtype=np.float32)
    curve = Curve(
        reward, reward / 2, label, None, FPS, ok, "robot state: gripper 0, demonstrations 20 to 21 here"
    )
    verdict = make_verdict(curve, None)
    draw_image(tmp_path / "a.png", caption, verdict, curve, metrics, thumbnails, None, "why")
    whole = Curve(reward, reward, label, None, FPS, np.ones(length), threshold=0.2, stop=0)
    whole.keypoints, whole.failed_at = [(0, 0.5)], length - 1
    drawn = {0: (whole, caption, make_verdict(whole, False)), 1: (curve, caption, verdict)}
    draw_overview(tmp_path / "b.png", "t", drawn)
    assert (tmp_path / "a.png").stat().st_size > 1000 and (tmp_path / "b.png").stat().st_size > 1000
    assert plt.get_fignums() == []


def test_a_table_shows_what_is_not_defined_as_such():
    row = {"episode": 0, "length": 1, "trained_on": None, **episode_metrics([0.5], [0.0])}
    means = {name: row[name] for name in episode_metrics([0.5], [0.0])}
    shown = table([row], means)
    assert "n/a" in shown and "nan" not in shown and "unknown" in shown


def make_curve(reward, **marks) -> Curve:
    reward = np.float32(reward)
    return Curve(reward, reward, reward, None, FPS, marks.pop("ok", np.ones(len(reward))), **marks)


@pytest.mark.parametrize(
    ("curve", "success", "said"),
    [
        (make_curve([0, 1, 1], threshold=0.9, stop=2), True, "success, the policy says done at 0.2 s"),
        (make_curve([0, 1, 1], threshold=0.9, stop=2), False, "failure, but the policy says done at 0.2 s"),
        (make_curve([0, 0], ok=np.array([1, 0])), True, "success, but the policy raises an alarm at 0.1 s"),
        (make_curve([0, 0.5], threshold=0.9), None,
         "outcome not labelled, the policy never says done, reward 0.50 at the end"),
        (make_curve([0, 0.5]), False, "failure, reward 0.50 at the end"),
    ],
)  # fmt: skip
def test_an_episode_in_words(curve, success, said):
    assert make_verdict(curve, success).sentence() == said


def test_the_frame_of_the_largest_fall_is_shown_with_why_it_falls():
    reward = [*np.linspace(0, 0.6, 40), 0.3, *np.linspace(0.3, 1, 59)]
    fall = LargestFall(FPS)
    assert [i for i, value in enumerate(reward) if fall(value)] == [40]
    assert thumbnail_frames(100, fall.frame) == [0, 20, 40, 59, 79, 99]
    assert "4.0 s  the reward falls by 0.30: the images look like an earlier" in reason_line(
        make_curve(reward), fall
    )
    steady = LargestFall(FPS)
    assert not any(map(steady, np.linspace(0, 1, 50)))
    assert reason_line(make_curve([0, 1]), steady) == ""


def test_few_cells_of_the_overview_stay_blank():
    blank = {n: -n % count_columns(n) for n in range(1, 21)}
    assert max(blank.values()) <= 2 and blank[10] == 0 and count_columns(8) == 4
