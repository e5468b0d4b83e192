"""Time several variants fairly: they take turns, so that whatever else the machine does slows all of them."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def take_turns(
    variants: dict[str, Callable[[], Any]], repetitions: int, device: str
) -> dict[str, list[float]]:
    """Seconds of every turn of each variant; every second turn goes through them in reverse order."""
    wait = getattr(torch, torch.device(device).type).synchronize if device != "cpu" else lambda: None
    times: dict[str, list[float]] = {name: [] for name in variants}
    for repetition in range(-1, repetitions):  # the first is for warming up
        order = list(variants.items())
        for name, run in reversed(order) if repetition % 2 else order:
            wait()
            start = time.perf_counter()
            run()
            wait()
            if repetition >= 0:
                times[name].append(time.perf_counter() - start)
    return times


def ratio(times: dict[str, list[float]], of: str, to: str) -> dict[str, Any]:
    """The median ratio of the turns with its quartiles, and the median milliseconds of both."""
    ratios = [a / b for a, b in zip(times[of], times[to], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "ratio": statistics.median(ratios),
        "quartiles": [low, high],
        "ms": 1000 * statistics.median(times[of]),
        "baseline_ms": 1000 * statistics.median(times[to]),
    }
