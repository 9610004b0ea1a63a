"""Measures how tight the bounds are: of each kind, the bound over the worst error seen.

    .venv/bin/python -m tests.benchmarks.tightness

Correct programs of several orders of summation and formulas run in float32 and in float64. What is
printed is one over the largest share of its bound that an element uses; docs/bounds.md keeps it.
"""

from __future__ import annotations

import argparse

import numpy as np

from ..reference.cases import CASES, FORMATS, looseness


def main() -> None:
    """Print a table in Markdown, the loosest in float32 first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    with np.errstate(all="ignore"):
        rows = {
            name: [looseness(name, case, dtype, seeds) for dtype in FORMATS]
            for name, case in CASES.items()
        }
    print("| kind | float32 | float64 |\n| --- | --- | --- |")
    for name, figures in sorted(rows.items(), key=lambda row: -row[1][0]):
        kind, comma, rest = name.partition(",")
        told = [f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}" for figure in figures]
        print(f"| `{kind}`{comma}{rest} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
