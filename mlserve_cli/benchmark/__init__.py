"""The product measured on its user's own model and data, beside a plain script and beside what the machine can do."""

from mlserve_cli.benchmark.measure import AGAINST, Step, bench
from mlserve_cli.benchmark.picture import draw
from mlserve_cli.benchmark.results import BenchResult, Measured, ModelResult, encoded

__all__ = ["AGAINST", "BenchResult", "Measured", "ModelResult", "Step", "bench", "draw", "encoded"]
