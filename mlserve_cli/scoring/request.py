"""What is asked of a run, as one frozen value: the same names as the command line's options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from mlserve_cli.errors import UsageError, shown
from mlserve_cli.tables import Dialect

if TYPE_CHECKING:
    from mlserve_cli.manifest import Setting, TaskRecord
    from mlserve_cli.planning import Estimate, Plan

STREAM = "-"
SINGLE_FILE_ENDINGS = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A run as `mlserve score` takes it; None stands for `auto` or for the package's own choice.

    `canary` is a percentage, `split` maps models to theirs; `model` is "" then, and the first of them is the champion.
    `max_errors` is a number of rows ("10") or a share of them ("0.5%"). `memory_limit` is in bytes, `task_timeout` in
    seconds. `profile` is auto, on, off, or whole: on, with quantiles over every row. Without `globs`, inputs are paths
    whatever characters are in them. `settings` and `command` only go to the manifest.
    """

    model: str
    inputs: tuple[str, ...]
    output: str
    globs: bool = True
    registry: str | None = None
    trust_policy: str | None = None
    features: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    schema_mode: Literal["strict", "coerce"] = "strict"
    nulls: Literal["error", "nan"] | None = None
    nan_scores: Literal["bad", "allow"] = "bad"
    id_column: str | None = None
    passthrough: tuple[str, ...] = ()
    threshold: float | None = None
    labels: bool = True
    dialect: Dialect = Dialect()
    input_format: Literal["parquet", "csv"] | None = None
    output_columns: Mapping[str, str] = field(default_factory=dict)
    output_format: Literal["parquet", "csv"] | None = None
    compression: str | None = None
    on_error: Literal["fail", "quarantine"] = "fail"
    max_errors: str | None = None
    if_exists: Literal["error", "overwrite", "resume"] = "error"
    workers: int | None = None
    threads_per_worker: int | None = None
    batch_rows: int | None = None
    memory_limit: int | None = None
    max_retries: int = 2
    task_timeout: float | None = None
    predictor: Literal["auto", "onnxruntime", "trees"] = "auto"
    deduplicate: Literal["auto", "on", "off"] = "auto"
    profile: Literal["auto", "on", "off", "whole"] = "auto"
    drift_profile: str | None = None
    drift_thresholds: str | None = None
    fail_on_drift: bool = False
    challengers: tuple[str, ...] = ()
    canary: float | None = None
    split: Mapping[str, float] = field(default_factory=dict)
    split_key: str | None = None
    split_salt: str | None = None
    reuse: str | None = None
    limit: int | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    command: tuple[str, ...] = ()

    @property
    def champion(self) -> str:
        """The model as it was asked for: of a split the first."""
        return self.model or next(iter(self.split), "")

    @property
    def single_file(self) -> bool:
        """Whether OUT is one file rather than a folder."""
        return self.output.endswith(SINGLE_FILE_ENDINGS)

    @property
    def format(self) -> Literal["parquet", "csv"]:
        """The parts' format: what was asked, else what OUT's ending says, else Parquet."""
        named: Literal["parquet", "csv"] = "csv" if self.output.endswith(".csv") else "parquet"
        if self.single_file and self.output_format not in (None, named):
            raise UsageError(
                f"--output-format {self.output_format} contradicts the output's name",
                shown(self.output, limit=400),
                "name the output accordingly, or a folder",
            )
        return self.output_format or named

    def allowed_errors(self, total_rows: int) -> int | None:
        """How many rows may go to quarantine, None where there is no bound."""
        if self.max_errors is None:
            return None
        match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?(%?)", self.max_errors)
        if match is None or (match[2] and not match[3]):
            raise UsageError(f"--max-errors {shown(self.max_errors)} is neither N nor N%", "", "as in 100 or 0.5%")
        if not match[3]:
            return int(match[1])
        decimals = match[2] or ""
        return total_rows * int(match[1] + decimals) // int(f"100{'0' * len(decimals)}")  # a float is off by one


class Observer(Protocol):
    """What a run tells while it goes on. Called in the driver's main thread; must not raise."""

    def stage(self, name: Literal["planning", "scoring", "committing"]) -> None:
        """The run enters a stage."""

    def warn(self, text: str) -> None:
        """Something that a person should know and that does not end the run."""

    def planned(self, plan: Plan, estimate: Estimate) -> None:
        """The plan is frozen, and this is what it is expected to take."""

    def finished(self, record: TaskRecord, *, resumed: bool) -> None:
        """A task is complete, now or (`resumed`) in an earlier attempt."""

    def lost(self, detail: str) -> None:
        """A worker died; its task will be tried again."""


class Silent:
    """An observer that nobody hears."""

    def stage(self, name: Literal["planning", "scoring", "committing"]) -> None: ...
    def warn(self, text: str) -> None: ...
    def planned(self, plan: Plan, estimate: Estimate) -> None: ...
    def finished(self, record: TaskRecord, *, resumed: bool) -> None: ...
    def lost(self, detail: str) -> None: ...


SILENT = Silent()
