"""Datasets in LeRobot's format before v3.0, which it refuses without saying how to convert one on this disk."""

import json
import shlex
from pathlib import Path

from shared.cli import UserError


def check_version(repo_id: str, root: Path) -> None:
    """A UserError for a dataset in LeRobot's old format, v2.1, with the command that converts it, labels included."""
    try:
        version = str(json.loads((root / "meta" / "info.json").read_text()).get("codebase_version"))
    except (OSError, ValueError):
        return  # LeRobot says what is wrong
    if version.startswith("v2."):
        convert = "lerobot.scripts.convert_dataset_v21_to_v30"
        command = (
            f".venv/bin/python -m {convert} "
            f"--repo-id={shlex.quote(repo_id)} --root={shlex.quote(str(root))} --push-to-hub=false"
        )
        if (root / "rewact_extensions").is_dir():  # LeRobot leaves it in the folder of the old version
            old = root.parent / f"{root.name}_old" / "rewact_extensions"
            command += f" && cp -r {shlex.quote(str(old))} {shlex.quote(str(root))}"
        raise UserError(f"'{repo_id}' at {root} is in LeRobot's old format {version}. Convert it: {command}")
