"""scripts/shared/frames.py: several frames of a dataset at once, and only what a policy reads of them."""

import av
import numpy as np
import pytest
import torch
from shared.frames import open_dataset, read_frames, rows_of_episode, to_image
from tiny_run import CAMERAS, LENGTHS


@pytest.mark.parametrize("n", [1, 4, LENGTHS[2]])
def test_frames_read_together_are_those_read_one_by_one_and_each_video_is_opened_once(
    data_set, meta, monkeypatch, n
):
    keys = [*CAMERAS, "observation.state"]
    dataset = open_dataset(meta, data_set, [1, 2], keys)
    row = rows_of_episode(dataset, 2)[0]
    items = [dataset[row + i] for i in range(n)]
    opened = []
    av_open = av.open
    monkeypatch.setattr(
        av, "open", lambda file, *args, **kwargs: opened.append(file) or av_open(file, *args, **kwargs)
    )
    dataset.reader._video_backend = "pyav"  # torchcodec keeps its files open

    frames, task = read_frames(dataset, row, n, keys)

    assert set(frames) == set(keys) and task == items[0]["task"]
    for key in keys:
        torch.testing.assert_close(frames[key], torch.stack([item[key] for item in items]), rtol=0, atol=0)
    assert len(opened) == len(CAMERAS)
    assert set(dataset[row]) == set(items[0])  # which gives single frames as before


def test_only_the_policys_cameras_are_decoded(data_set, meta):
    dataset = open_dataset(meta, data_set, [1], ["observation.images.top"])
    assert "observation.images.wrist" not in dataset[0]
    assert dataset[0]["observation.images.top"].dtype == torch.uint8


def test_images_and_depth_maps_are_converted_from_floats_too():
    image = to_image(torch.full((3, 4, 5), 0.5))
    assert image.shape == (4, 5, 3) and image.dtype == np.uint8 and (image == 128).all()
    depth = to_image(torch.tensor([[[0.0, 500.0, 1000.0]]]))
    assert depth.shape == (1, 3, 3) and depth[0, 2, 0] == 255
