"""The video of an episode: the policy's cameras, and the reward curve growing under them."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.lines import Line2D
from PIL import Image, ImageDraw, ImageFont
from shared.drawing import LABEL, OK, PREDICTED, WARNING, plt, style_axes
from shared.frames import to_image

from visualising.caption import Caption, camera_name

NOT_OK = 0.99  # below it, ok is drawn


class VideoFrames:
    """Draws the frames of one episode's video.

    matplotlib draws once whatever stays the same; a frame then costs a copy, one line segment and three short
    texts. Frames come in order and the curve only grows, so only the current frame is in memory.
    """

    # heights and distances in pixels
    HEADER, NAMES, READOUT, PLOT, REASON, PAD, GAP = 60, 22, 50, 220, 28, 14, 8
    DPI = 100

    def __init__(self, caption: Caption, shapes: dict[str, tuple[int, int]], label: np.ndarray, fps: float):
        """
        Args:
            caption: what to write over the video.
            shapes: height and width of each camera's image.
            label: (T,) the label of every frame, NaN where nobody knows it.
            fps: frames per second.
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
        self.height = self.readout_y + self.READOUT + self.PLOT + self.REASON
        self.height += self.height % 2  # h264 in yuv420p wants even sizes

        self.numbers = ImageFont.truetype(findfont(FontProperties(weight="bold")), 30)
        self.text = ImageFont.truetype(findfont(FontProperties()), 18)
        self.small = ImageFont.truetype(findfont(FontProperties()), 15)
        self._draw_static(caption)
        self.last: tuple[int, int] | None = None
        self.last_ok: tuple[int, int] | None = None

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

        left, bottom, top = 48, 44 + self.REASON, self.readout_y + self.READOUT + 6
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

    def draw(
        self,
        frame: int,
        images: dict[str, torch.Tensor],
        reward: float,
        ok: float = 1.0,
        reason: str | None = None,
    ) -> np.ndarray:
        """The video's image (H, W, 3) uint8 of frame number `frame`, in which the cameras show `images`.

        Args:
            ok: drawn as a second line where it is not 1.
            reason: of an alarm, written under the curve.
        """
        here, ok_here = self._pixel(frame, reward), self._pixel(frame, ok)
        blue, red = (tuple(int(c[i : i + 2], 16) for i in (1, 3, 5)) for c in (PREDICTED, OK))
        if ok < NOT_OK:
            cv2.line(self.canvas, self.last_ok or ok_here, ok_here, red, 1, cv2.LINE_AA, 4)
        cv2.line(self.canvas, self.last or here, here, blue, 2, cv2.LINE_AA, 4)
        self.last, self.last_ok = here, ok_here

        image = self.canvas.copy()
        for key, (x, y, w, h) in self.boxes.items():
            view = to_image(images[key])
            smaller = h < view.shape[0]
            image[y : y + h, x : x + w] = cv2.resize(
                view, (w, h), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
            )
        cursor = here[0] // 16
        cv2.line(image, (cursor, self.plot_top), (cursor, self.plot_bottom), (150, 150, 150), 1)
        cv2.circle(image, here, 5 * 16, blue, -1, cv2.LINE_AA, 4)

        strip = Image.fromarray(image[self.readout_y : self.readout_y + self.READOUT])
        pen, middle = ImageDraw.Draw(strip), self.READOUT // 2
        pen.text((self.columns[0] + 132, middle), f"{reward:.2f}", PREDICTED, self.numbers, anchor="lm")
        label = "none" if np.isnan(self.label[frame]) else f"{self.label[frame]:.2f}"
        pen.text((self.columns[1] + 94, middle), label, LABEL, self.text, anchor="lm")
        if ok < NOT_OK:
            pen.text((self.columns[1] + 160, middle), f"ok {ok:.2f}", OK, self.text, anchor="lm")
        count = f"{frame / self.fps:.1f} s   frame {frame} of {len(self.label) - 1}"
        pen.text((self.width - self.PAD, middle), count, "#222222", self.text, anchor="rm")
        image[self.readout_y : self.readout_y + self.READOUT] = np.asarray(strip)
        if reason is not None:
            foot = Image.fromarray(image[-self.REASON :])
            pen = ImageDraw.Draw(foot)
            pen.text((self.PAD, self.REASON // 2), reason, WARNING, self.small, anchor="lm")
            image[-self.REASON :] = np.asarray(foot)
        return image


class VideoFile:
    """An mp4 that plays anywhere: h264 in yuv420p, or MPEG-4 where PyAV was built without x264.

    A separate thread encodes while the next frames are predicted and drawn.
    """

    WAITING = 32  # images at most, about 2 MB each

    def __init__(self, path: Path, fps: float, width: int, height: int):
        x264 = "libx264" in av.codecs_available
        self.container = av.open(str(path), "w", options={"movflags": "faststart"})
        rate = Fraction(fps).limit_denominator(1001)
        self.stream = self.container.add_stream("libx264" if x264 else "mpeg4", rate=rate)
        self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, "yuv420p"
        if x264:
            # As good and about as small as superfast at crf 20, in half the time: most of an image is flat.
            self.stream.options = {"crf": "22", "preset": "ultrafast"}
        else:
            self.stream.bit_rate = 4_000_000
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.waiting: deque[Future[None]] = deque()

    def __enter__(self) -> "VideoFile":
        return self

    def write(self, image: np.ndarray) -> None:
        """Queue an (H, W, 3) uint8 image of even H and W, which must not change any more.

        Raises whatever encoding an image before it has raised.
        """
        if len(self.waiting) == self.WAITING:
            self.waiting.popleft().result()
        self.waiting.append(self.thread.submit(self._encode, image))

    def _encode(self, image: np.ndarray) -> None:
        planes = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)  # takes a quarter of the time that PyAV takes
        self.container.mux(self.stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))

    def __exit__(self, *failure: object) -> None:
        try:
            if failure[0] is None:
                for image in self.waiting:
                    image.result()
                self.container.mux(self.stream.encode())
        finally:
            self.thread.shutdown(cancel_futures=True)
            self.container.close()
