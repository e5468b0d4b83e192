"""scripts/train.py: the lerobot-train command that it puts together, and its one-line errors."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import draccus
import pytest
import train
from shared.training import make_flags, show

import lerobot.policies  # noqa: F401  registers the policy types
from lerobot.configs.train import TrainPipelineConfig

SCRIPT = Path(train.__file__)
GUIDES = sorted((SCRIPT.parent.parent / "docs").glob("*.md"))


def flags_of(monkeypatch, *argv: str) -> dict[str, str]:
    monkeypatch.setattr(sys, "argv", ["train.py", *argv])
    args = vars(train.parse_args())
    del args["args"]
    return make_flags(**args)


def command_of(monkeypatch, *argv: str) -> list[str]:
    """The arguments that lerobot-train would get."""
    commands = []

    def run(command, **_):
        commands.append([str(part) for part in command])
        return 0

    monkeypatch.setattr(train, "run_lerobot", run)
    monkeypatch.setattr(sys, "argv", ["train.py", *argv])
    train.main()
    return commands[-1]


def test_a_dataset_trains_at_full_size(monkeypatch):
    flags = flags_of(monkeypatch, "--dataset", "me/cups", "--episodes", "0-2,5", "--steps", "7")
    assert flags["policy.type"] == "rewact"
    assert flags["policy.push_to_hub"] == "false"
    assert flags["dataset.repo_id"] == "me/cups"
    assert flags["dataset.episodes"] == "[0, 1, 2, 5]"
    assert flags["steps"] == "7"
    assert "wandb.enable" not in flags
    assert not set(flags) & {"policy.dim_model", "policy.chunk_size", "policy.pretrained_backbone_weights"}
    assert flags["output_dir"].startswith("outputs/train/cups-")


def test_lerobot_train_takes_the_examples():
    text = "\n".join([guide.read_text() for guide in GUIDES] + [train.__doc__])
    examples = re.findall(r'make train [^"]*ARGS="([^"]*)"', text)
    assert len(examples) >= 3
    for example in examples:
        # what a checkpoint brings is not here: what the example sets beside it is checked
        brought = ("--policy.path=", "--config_path=")
        flags = [flag for flag in shlex.split(example) if not flag.startswith(brought)]
        flags += ["--policy.type=rewact", "--policy.device=cpu", "--dataset.repo_id=me/cups"]
        draccus.parse(TrainPipelineConfig, args=flags)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_wandb(monkeypatch, mode):
    flags = flags_of(monkeypatch, "--dataset", "me/cups", "--wandb", mode)
    assert (flags["wandb.enable"], flags["wandb.mode"]) == ("true", mode)


def test_args_win(monkeypatch):
    command = command_of(
        monkeypatch, "--dataset", "me/cups", "--args=--policy.push_to_hub=true --policy.repo_id=me/cups-act"
    )
    assert command[0].endswith("lerobot-train")
    assert [arg for arg in command if "push_to_hub" in arg] == ["--policy.push_to_hub=true"]
    assert command[-1] == "--policy.repo_id=me/cups-act"


def test_a_checkpoint_brings_its_policy(monkeypatch):
    command = command_of(monkeypatch, "--dataset", "me/cups", "--args=--policy.path=me/act")
    assert not any(arg.startswith("--policy.type") for arg in command)


def test_a_run_goes_on_with_its_own_settings(monkeypatch, capsys):
    """Nothing of the demo, and no new folder: only what the user says."""
    resume = "--config_path=runs/a/checkpoints/last/pretrained_model/train_config.json --resume=true"
    command = command_of(monkeypatch, f"--args={resume}")
    assert command[1:] == resume.split()
    assert "make visualise POLICY=runs/a/checkpoints/last/pretrained_model" in capsys.readouterr().out
    command = command_of(monkeypatch, "--steps", "70", f"--args={resume}")
    assert command[1:] == ["--steps=70", *resume.split()]


def test_next_command_is_printed(monkeypatch, capsys):
    command_of(monkeypatch, "--dataset", "me/cups", "--output", "runs/a b")
    out = capsys.readouterr().out
    assert "Checkpoint: runs/a b/checkpoints/last/pretrained_model" in out
    assert "make visualise POLICY='runs/a b/checkpoints/last/pretrained_model'" in out


def test_adapters_are_merged_before_their_reward_is_drawn(monkeypatch, capsys, tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "last" / "pretrained_model"
    monkeypatch.setattr(train, "run_lerobot", lambda command: write_adapters(checkpoint))
    monkeypatch.setattr(sys, "argv", ["train.py", "--dataset=me/cups", f"--output={tmp_path / 'run'}"])
    train.main()
    out = capsys.readouterr().out
    assert "merge the PEFT adapters" in out and "make visualise" not in out


def write_adapters(checkpoint: Path) -> int:
    checkpoint.mkdir(parents=True)
    (checkpoint / "adapter_config.json").write_text("{}")
    return 0


@pytest.mark.parametrize(
    "argv, message",
    [
        (["--dataset", "me/cups", "--episodes", "0..3"], "'0..3'"),
        (["--dataset", "me/cups", "--root", "no/such/folder"], "ROOT=no/such/folder"),
        (["--dataset", "me/cups", "--steps", "0"], "STEPS=0"),
        (["--root", "data/cups"], "DATASET="),
        (["--dataset", "me/cups", "--output", "."], "OUTPUT=. already exists"),
        (["--dataset", "me/cups", "--args=--output_dir=.."], "OUTPUT=.. already exists"),
    ],
)
def test_errors_are_one_line(argv, message):
    result = subprocess.run([sys.executable, SCRIPT, *argv], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and message in result.stderr


def test_the_printed_command_has_short_episodes_and_the_shell_reads_it():
    command = [
        "lerobot-train",
        "--dataset.episodes=[3, 4, 5, 6, 7]",
        "--job_name=a b",
        "--dataset.episodes=[0, 2]",
    ]
    read = subprocess.run(["bash", "-c", f"printf '%s\\n' {show(command)}"], capture_output=True, text=True)
    assert "seq" in show(command) and "4, 5" not in show(command)
    assert [line.replace(", ", ",") for line in read.stdout.splitlines()] == [
        "lerobot-train", "--dataset.episodes=[3,4,5,6,7]", "--job_name=a b", "--dataset.episodes=[0,2]",
    ]  # fmt: skip


def test_make_takes_arguments_of_several_lines():
    args = '--policy.input_features="{\n  a: {type: STATE},\n  it\'s: 2}"'
    printed = subprocess.run(
        ["make", "--no-print-directory", "-n", "train", f"ARGS={args}"],
        cwd=SCRIPT.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = shlex.split(printed[printed.index("scripts/train.py") :])
    assert command[-1] == "--args=" + args.replace("\n", " ")
