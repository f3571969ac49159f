"""The plan: which rows of which shard make which task, in batches of how many rows. Pure: no file is read here."""

from mlserve_cli.planning.plan import (
    PLAN_FORMAT,
    Plan,
    PlannedGolden,
    PlannedModel,
    PlannedOutput,
    PlannedRival,
    PlannedSplit,
    Task,
    difference,
)
from mlserve_cli.planning.profile_rows import profile_every_for
from mlserve_cli.planning.repeats import LEAST_GAIN, LEAST_INFERENCE_S, RowCosts, row_costs, window_rows_for
from mlserve_cli.planning.sizing import (
    COMPILER_BYTES,
    SOURCE_BYTES,
    TEXT_BYTES,
    Estimate,
    Need,
    batch_rows_for,
    bytes_per_text,
    fit_lanes,
    row_bytes,
)
from mlserve_cli.planning.split import split

__all__ = [
    "COMPILER_BYTES",
    "LEAST_GAIN",
    "LEAST_INFERENCE_S",
    "PLAN_FORMAT",
    "SOURCE_BYTES",
    "TEXT_BYTES",
    "Estimate",
    "Need",
    "Plan",
    "PlannedGolden",
    "PlannedModel",
    "PlannedOutput",
    "PlannedRival",
    "PlannedSplit",
    "RowCosts",
    "Task",
    "batch_rows_for",
    "bytes_per_text",
    "difference",
    "fit_lanes",
    "profile_every_for",
    "row_bytes",
    "row_costs",
    "split",
    "window_rows_for",
]
