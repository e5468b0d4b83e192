"""Encoding a video leaves the process as it was, although the encoder, run by root, does not."""

import os

import av
import numpy as np
import pytest
from shared.scheduling import keep_scheduling

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduling policies here")


def test_policy_is_given_back():
    """Nobody needs to be root for this policy."""
    before = os.sched_getscheduler(0)
    with pytest.raises(ZeroDivisionError), keep_scheduling():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
        raise ZeroDivisionError
    assert os.sched_getscheduler(0) == before


def test_real_encoder(tmp_path):
    before = os.sched_getscheduler(0)
    with keep_scheduling(), av.open(str(tmp_path / "video.mp4"), "w") as container:
        stream = container.add_stream("libsvtav1", 30, width=64, height=64, pix_fmt="yuv420p")
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(stream.encode(image))
        container.mux(stream.encode())
    assert os.sched_getscheduler(0) == before
