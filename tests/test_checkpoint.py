"""scripts/shared/checkpoint.py: where a policy is found. What it refuses is in test_visualise.py."""

import shutil

import pytest
from shared.checkpoint import find_policy, load_policy
from shared.cli import UserError


def test_a_run_a_checkpoint_and_its_weights_folder_name_the_same_policy(run_dir, checkpoint, tmp_path):
    found = [
        find_policy(str(path)) for path in (run_dir, run_dir / "checkpoints", checkpoint.parent, checkpoint)
    ]
    assert {folder.resolve() for folder, _ in found} == {checkpoint.resolve()}
    assert {name for _, name in found} == {"tiny_run"}
    copy = shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("last"))  # without links
    assert find_policy(str(copy))[0].parent.name == checkpoint.resolve().parent.name


def test_peft_adapters_are_refused_by_name(checkpoint, tmp_path):
    adapters = shutil.copytree(
        checkpoint, tmp_path / "adapters", ignore=shutil.ignore_patterns("model.safetensors")
    )
    (adapters / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="adapters holds PEFT adapters"):
        load_policy(adapters, device="cpu")
