"""Changing the model safely: two models side by side, how sure the difference is, and gates that let one follow."""

from mlserve_cli.rollout.compare import compare
from mlserve_cli.rollout.quality import Asked
from mlserve_cli.rollout.request import CompareRequest
from mlserve_cli.rollout.values import (
    Arms,
    ColumnComparison,
    Compared,
    Comparison,
    Decisions,
    Labelled,
    Measured,
    MetricComparison,
    Subject,
    figures_of,
)

__all__ = [
    "Arms",
    "Asked",
    "ColumnComparison",
    "Compared",
    "CompareRequest",
    "Comparison",
    "Decisions",
    "Labelled",
    "Measured",
    "MetricComparison",
    "Subject",
    "compare",
    "figures_of",
]
