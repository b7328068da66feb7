"""Play the annotator: print a label file for the items of a batch.

Usage: python sample_data/annotate.py BATCH.csv [ANSWERS.csv] > labels.csv

ANSWERS.csv has a column id, and the labels in its last column. Without it, the labels are those of digits.parquet.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pyarrow.parquet as pq


def truth(path: str | None) -> dict[str, str]:
    """The label of every id."""
    if path is None:
        digits = pq.read_table(Path(__file__).with_name("digits.parquet"), columns=["id", "label"])
        return dict(zip(digits["id"].to_pylist(), map(str, digits["label"].to_pylist())))
    with open(path, newline="", encoding="utf-8") as file:
        return {row["id"]: list(row.values())[-1] for row in csv.DictReader(file)}


def main() -> None:
    labels = truth(sys.argv[2] if len(sys.argv) > 2 else None)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["id", "label"])
    with open(sys.argv[1], newline="", encoding="utf-8") as batch:
        writer.writerows([row["id"], labels[row["id"]]] for row in csv.DictReader(batch))


if __name__ == "__main__":
    main()
