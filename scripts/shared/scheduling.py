"""Keep SVT-AV1, LeRobot's default video encoder, from making everything else a real-time process.

Run by root it gives the thread that calls it SCHED_FIFO at priority 99, and leaves it so. What that thread starts
afterwards inherits it, trainings among them, which then starve each other and the machine.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def keep_scheduling() -> Iterator[None]:
    """Give the calling thread the scheduling policy back that it has now, where the system has such policies."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)
