#!/usr/bin/env python
"""Make the CSV, the plots and the table of docs/ from the benchmark's figures in docs/benchmark*.json.

    python scripts/benchmark_report.py

Writes docs/benchmark.csv, docs/images/benchmark_*.png and so101_*days.png, and the table in docs/REWARD.md. It measures
nothing: copy the results of `make benchmark` and `make benchmark-days` into the JSON files first.
"""

from pathlib import Path

from benchmarking.report import csv_of, draw, fill_page, load

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> None:
    sources = load(DOCS)
    (DOCS / "benchmark.csv").write_text(csv_of(sources))
    page = DOCS / "REWARD.md"
    page.write_text(fill_page(page.read_text(encoding="utf-8"), sources), encoding="utf-8")
    draw(DOCS / "images", sources)


if __name__ == "__main__":
    main()
