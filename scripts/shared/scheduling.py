"""Keep SVT-AV1, LeRobot's default video encoder, from making everything else a real-time process.

When root runs it, it gives the calling thread SCHED_FIFO at priority 99 and leaves it there. Whatever that thread
starts afterwards inherits the priority, for example training runs, which then starve each other and the machine.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def keep_scheduling() -> Iterator[None]:
    """Restore the scheduling policy that the calling thread has now, on systems that have such policies."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, param = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, param)
