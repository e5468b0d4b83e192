"""The benchmark's table."""

import numpy as np

from benchmarking.runs import PLAIN

ENOUGH = (
    0.5  # success rate of plain ACT below which a comparison of successes says nothing, and is not printed
)

COLUMNS = {
    "mae": "MAE", "voc": "VOC", "auroc_final_miss": "miss", "auroc_final_stall": "stall",
    "auroc_final_ghost": "ghost", "auroc_final_wrong_goal": "wrong goal", "final_success": "final, success",
    "final_ghost": "final, ghost", "false_stops": "false stops", "early_stops": "early stops",
    "missed_stops": "missed stops", "stop_delay_s": "delay, s", "ece": "ECE", "mae_switch": "MAE to the switches",
    "mae_with_latent": "MAE with the latent", "mae_without_latent": "MAE without the latent",
    "action_l1": "action L1", "success_rate": "success of the policy", "ms": "ms a step",
}  # fmt: skip


def mean_and_spread(values: list[float | None], undefined: str = "n/a") -> str:
    """'0.123 ± 0.045' of the values that are defined, or `undefined` if none is."""
    defined = [value for value in values if value is not None]
    if not defined:
        return undefined
    text = f"{np.mean(defined):.3f}"
    return text + (f" ± {np.std(defined, ddof=1):.3f}" if len(defined) > 1 else "")


def table(results: dict[str, dict[str, dict[str, dict]]]) -> str:
    """A table of every task with mean and spread over seeds, and one over all tasks.

    Args:
        results: {task: {seed: {row: {metric: value}}}}.
    """
    blocks = []
    pooled: dict[str, dict[str, list[float | None]]] = {}
    for task, seeds in results.items():
        rows = list(next(iter(seeds.values())))
        per_row = {
            row: {key: [metrics.get(row, {}).get(key) for metrics in seeds.values()] for key in COLUMNS}
            for row in rows
        }
        plain = [rate for name in PLAIN for rate in per_row.get(name, {}).get("success_rate", [])]
        if any(rate is not None and rate < ENOUGH for rate in plain):
            for metrics in per_row.values():
                metrics["success_rate"] = [None]
        blocks.append((f"{task} ({len(seeds)} seed{'s' * (len(seeds) > 1)})", per_row))
        for row, metrics in per_row.items():
            for key, values in metrics.items():
                defined = [v for v in values if v is not None]
                pooled.setdefault(row, {}).setdefault(key, []).append(
                    float(np.mean(defined)) if defined else None
                )
    if len(results) > 1:
        blocks.append((f"all {len(results)} tasks (mean and spread over tasks)", pooled))
    lines = []
    for title, per_row in blocks:
        lines += [
            f"### {title}",
            "",
            "| | " + " | ".join(COLUMNS.values()) + " |",
            "|---" * (len(COLUMNS) + 1) + "|",
        ]
        for row, metrics in per_row.items():
            cells = [
                mean_and_spread(metrics[key], "not measured" if key == "success_rate" else "n/a")
                for key in COLUMNS
            ]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)
