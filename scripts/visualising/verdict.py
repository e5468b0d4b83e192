"""An episode in words: how it ended, and what the policy says about that."""

from dataclasses import dataclass

import numpy as np
from shared.drawing import Curve
from shared.stop_frame import HOLD_S, hold_frames

FALL = 0.1  # reward lost within the hold time from which on an episode is said to go back


@dataclass
class Verdict:
    """What stands over the image of an episode.

    Attributes:
        outcome: "success" or "failure", None where nobody has said it.
        policy: what the policy says, such as "done at 7.9 s".
        is_wrong: whether the two contradict each other.
    """

    outcome: str | None
    policy: str
    is_wrong: bool

    def sentence(self) -> str:
        outcome = self.outcome or "outcome not labelled"
        return f"{outcome}, {'but ' if self.is_wrong else ''}{self.policy}"


def make_verdict(curve: Curve, success: bool | None) -> Verdict:
    """What the policy says about an episode, beside its outcome; None where nobody has said it."""
    done, alarm = curve.stop, curve.alarm
    if done is not None and (alarm is None or done < alarm):
        policy, wrong = f"the policy says done at {done / curve.fps:.1f} s", success is False
    elif alarm is not None:
        policy, wrong = f"the policy raises an alarm at {alarm / curve.fps:.1f} s", success is True
    elif curve.threshold is not None:
        policy, wrong = (
            f"the policy never says done, reward {curve.reward[-1]:.2f} at the end",
            success is True,
        )
    else:
        policy, wrong = f"reward {curve.reward[-1]:.2f} at the end", False
    return Verdict(None if success is None else "success" if success else "failure", policy, wrong)


class LargestFall:
    """Finds, while an episode is predicted, the frame with the largest loss of reward within the hold time.

    Attributes:
        frame: that frame, None while there is none of at least `FALL`.
        size: the reward lost there.
    """

    def __init__(self, fps: float):
        self._recent: list[float] = []
        self._window = hold_frames(HOLD_S, fps)
        self._n = 0
        self.frame: int | None = None
        self.size = 0.0

    def __call__(self, reward: float) -> bool:
        """Take the reward of the next frame. True if it is the lowest point of the largest fall so far."""
        lost = round(
            max(self._recent, default=reward) - reward, 2
        )  # a fall has its frame where it is nearly over
        self._recent = [*self._recent, reward][-self._window :]
        self._n += 1
        if lost < FALL or lost <= self.size:
            return False
        self.frame, self.size = self._n - 1, lost
        return True


def reason_line(curve: Curve, fall: LargestFall) -> str:
    """Why the reward is low or falls: the reason of the alarm, else what the progress does; empty without either."""
    if curve.alarm is not None:
        return f"{curve.alarm / curve.fps:.1f} s  {curve.reason}"
    if fall.frame is None:
        return ""
    lost = (
        "the images look like an earlier moment of the task"
        if np.all(curve.ok[: fall.frame + 1] > 1 - FALL)
        else "the gripper may not be as in the demonstrations"
    )
    return f"{fall.frame / curve.fps:.1f} s  the reward falls by {fall.size:.2f}: {lost}"
