"""Where the calibrated threshold would stop a recorded episode."""

import numpy as np

from rewact.stopping import HOLD_S, StopRule, hold_frames


def stop_frame(reward: np.ndarray, threshold: float, fps: float, earliest: int = 0) -> int | None:
    """The frame in which the stop rule ends an episode with these (T,) rewards, None if it never does.

    A recording may end before the reward has been high for long enough. It counts as if the robot stayed at its end, and
    the last frame is then the one.

    Args:
        reward: (T,) of every frame.
        threshold: in (0, 1].
        fps: frames per second.
        earliest: number of frames before which the task cannot be done.
    """
    hold = hold_frames(HOLD_S, fps)
    rule = StopRule(threshold, hold, earliest)
    longer = np.append(reward, np.full(hold, reward[-1]))
    stopped = next((i for i, value in enumerate(longer) if rule(value)), None)
    return None if stopped is None else min(stopped, len(reward) - 1)
