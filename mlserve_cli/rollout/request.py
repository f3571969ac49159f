"""What is asked of a comparison, as one frozen value: the same names as the command line's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlserve_cli.monitoring.gate import NO_GATE, GateRequest
from mlserve_cli.rollout.intervals import CONFIDENCE, EXPECTED_ROWS, Sureness
from mlserve_cli.rollout.quality import Asked
from mlserve_cli.scoring import ScoreRequest
from mlserve_cli.tables import Dialect

MOST_MOVED = 5
AS_IT_IS = Asked()


@dataclass(frozen=True, slots=True)
class CompareRequest:
    """What is compared. `a` and `b` are runs, or with `scoring` (a run's request, whose model is left open) models.

    Without `b`, `a` is a run or a folder of runs with a challenger or a split, and `challenger` says which of several.
    `labels` are files with what came, joined by `on` (the run's column to the file's). `confidence` and `expected_rows`
    belong to the question, not to the answer: they stay the same from look to look. `gate` says which gate judges B.
    """

    a: str
    b: str = ""
    scoring: ScoreRequest | None = None
    challenger: str = ""
    labels: tuple[str, ...] = ()
    on: Mapping[str, str] = field(default_factory=dict)
    label: str | None = None
    label_time: str | None = None
    asked: Asked = AS_IT_IS
    dialect: Dialect = Dialect()
    confidence: float = CONFIDENCE
    expected_rows: int = EXPECTED_ROWS
    moved: int = MOST_MOVED
    gate: GateRequest = NO_GATE

    @property
    def sure(self) -> Sureness:
        """How sure is wanted."""
        return Sureness(self.confidence, self.expected_rows)
