"""The figures that visualise.py has measured, as a section of a model card."""

from pathlib import Path
from typing import Any

from shared.checkpoint import checkpoint_step, read_json
from shared.cli import format_episodes
from shared.metrics import format_metric

SUMMARIES = Path("outputs/visualise")
ROWS = {
    "this policy": ("mae", "spearman", "final_reward"),
    "clock": ("clock_mae", "clock_spearman", "clock_final"),
}
HOW_TO_READ = """\
- **Mean absolute error** of the reward against its label in every frame: lower is better. An episode that nobody called a \
failure is labelled as a success.
- **Spearman**'s rank correlation of the reward with time: 1 if it never falls, so the clock has 1.
- **Final reward**: near 1 after a success, low after a failure.
- The **clock** sees no image. It counts frames, and knows how long a demonstration takes on average. A reward that is no \
better than the clock has learned to count."""


def find_summary(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest summary.json of a checkpoint, with its contents.

    Where the weights are newer than a summary, another training run has been written to the same folder since.
    """
    weights = (folder / "model.safetensors").stat().st_mtime
    for path in sorted(SUMMARIES.glob("**/summary.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        if path.stat().st_mtime < weights:
            break
        summary = read_json(path)
        policy = summary["policy"]
        # The link `last` may have led to an earlier step.
        if (
            Path(policy["path"]).resolve() == folder.resolve()
            and policy["step"] == checkpoint_step(folder)
            and summary["episodes"]
        ):
            return path, summary
    return None


def which_episodes(summary: dict[str, Any]) -> str:
    """A sentence that says what was measured on, and whether the policy was trained on it, as far as the summary knows."""
    rows, repo_id = summary["episodes"], summary["dataset"]["repo_id"]
    seen = [row["trained_on"] for row in rows]
    what = f"{len(rows)} episode{'s' if len(rows) > 1 else ''} of `{repo_id}` ({format_episodes([row['episode'] for row in rows])})"
    if summary["selection"]["rule"] == "other-dataset":
        return f"Measured on {what}, which is another dataset than the one that the policy was trained on."
    if None in seen:
        return f"Measured on {what}. **Whether the policy was trained on them is not known.**"
    if any(seen):
        return f"Measured on {what}. **The policy was trained on {sum(seen)} of them: this is no test of the reward.**"
    return f"Measured on {what}, which were held out from training."


def notes(summary: dict[str, Any]) -> list[str]:
    """What a reader must know before the figures."""
    policy, found = summary["policy"], [f"Note: {warning}" for warning in summary["warnings"]]
    if policy["overrides"]:
        found.append(
            f"Note: measured with `{' '.join(policy['overrides'])}`, not with the checkpoint's own settings."
        )
    if policy["model_dtype"] != "float32":
        found.append(f"Note: computed in {policy['model_dtype']}.")
    unlabelled = sum(row["mae"] is None for row in summary["episodes"])
    if unlabelled:
        found.append(
            f"Note: the mean absolute error leaves out {unlabelled} of the episodes, of whose frames nobody knows the "
            "label."
        )
    return found


def figures_section(folder: Path, found: tuple[Path, dict[str, Any]] | None) -> str:
    """The section "How good the reward is".

    Args:
        folder: of the checkpoint.
        found: of `find_summary`.
    """
    heading = "## How good the reward is"
    if found is None:
        return f"{heading}\n\nNot measured yet. `make visualise POLICY={folder}` measures it on episodes that were held out."
    summary = found[1]
    lines = ["| | mean absolute error | Spearman | final reward |", "|---|---|---|---|"]
    for name, metrics in ROWS.items():
        lines.append(
            f"| {name} | {' | '.join(format_metric(summary['mean'][metric]) for metric in metrics)} |"
        )
    return "\n\n".join([heading, which_episodes(summary), *notes(summary), "\n".join(lines), HOW_TO_READ])
