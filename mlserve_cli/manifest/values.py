"""The manifest: what ran, on what, with what result. Its JSON Schema is made from these classes and shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from mlserve_cli.contract import Scalar, Sealed, TensorSpec, Value, decode_sealed, schema_of
from mlserve_cli.errors import InputMissing, shown
from mlserve_cli.manifest.records import Stages
from mlserve_cli.planning import Plan
from mlserve_cli.profiles import Drift
from mlserve_cli.storage import translated
from mlserve_cli.trust import SignatureCheck

MANIFEST_FORMAT = 1


class Setting(Value, frozen=True):
    """One option's value and where it came from."""

    value: Scalar | list[str] | None
    source: Literal["command line", "environment", "file", "default", "call"]


class Run(Value, frozen=True):
    """When and how it ran. `id` is the plan's id: the same work has the same name."""

    id: str
    status: Literal["complete", "complete with rows in quarantine"]
    exit_code: int
    started_at: str
    finished_at: str
    seconds: float
    command: list[str]
    settings: dict[str, Setting]
    resumed_tasks: int
    reused_tasks: int
    lost_workers: int


class ModelAccount(Value, frozen=True):
    """The model that made every score of this run; what ran it, and why that rather than the other.

    `registry` is the registry's folder, "" for a model that was named by its path; `alias` what named the version then,
    "" where the version was named itself. `signature` says who signed it and which trust policy let it run; null where
    there was no policy, and nothing was asked.
    """

    name: str
    version: str
    digest: str
    sha256: str
    size_bytes: int
    precision: str
    family: str
    opsets: dict[str, int]
    producer: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    golden_rows: Literal["passed", "none"]
    predictor: Literal["onnxruntime", "trees"]
    predictor_reason: str
    alias: str = ""
    registry: str = ""
    signature: SignatureCheck | None = None


class InputAccount(Value, frozen=True):
    """One shard: its rows in, out and set aside."""

    name: str
    path: str
    rows_in: int
    rows_out: int
    rows_quarantined: int


class OutputFile(Value, frozen=True):
    """One file of the run, by its path under it. `task` is -1 for a file that was made of all the parts."""

    path: str
    kind: Literal["data", "quarantine", "challenger", "profile"]
    task: int
    rows: int
    size_bytes: int
    sha256: str


class Rows(Value, frozen=True):
    """Conservation: rows_in = rows_out + rows_quarantined. `coerced` counts converted values by column."""

    rows_in: int
    rows_out: int
    rows_quarantined: int
    reasons: dict[str, int]
    coerced: dict[str, int]


class Deduplication(Value, frozen=True):
    """Rows with the same features, scored once among `window_rows` rows (0: each by itself, and `reason` says why).

    Of `rows` rows that this run read, `scored_rows` went through the model; reused parts count as neither.
    """

    window_rows: int
    rows: int
    scored_rows: int
    reason: str


class WorkerAccount(Value, frozen=True):
    """One worker process: tasks done, the share of the run's time in which it was busy, peak resident memory."""

    pid: int
    tasks: int
    busy_share: float
    peak_memory_bytes: int


class TimeLine(Value, frozen=True):
    """When each task of this attempt ran and where: one list for each fact, in step, so that thousands stay small.

    `task` is its id in the plan, `worker` the process; `start_s` counts from the run's start, the stages are `seconds`
    of one thread. Tasks of an earlier attempt, or taken over from an earlier run, are not in it.
    """

    task: list[int]
    worker: list[int]
    start_s: list[float]
    seconds: list[float]
    read_s: list[float]
    features_s: list[float]
    inference_s: list[float]
    write_s: list[float]
    profile_s: list[float]


class Throughput(Value, frozen=True):
    """Speed and memory. Stage seconds are summed over workers; batch latencies are exact to 5 %."""

    rows_per_s: float
    stages: Stages
    stage_rows_per_s: dict[str, float]
    batch_p50_s: float
    batch_p95_s: float
    batch_p99_s: float
    workers: tuple[WorkerAccount, ...]
    peak_memory_bytes: int
    estimated_seconds: float | None
    estimated_peak_memory_bytes: int
    time_line: TimeLine | None = None


class Environment(Value, frozen=True):
    """The libraries and the machine: what the bytes may depend on beside the plan."""

    mlserve: str
    python: str
    onnxruntime: str
    pyarrow: str
    numpy: str
    cpu: str
    cpu_flags: list[str]
    platform: str
    threads_per_worker: int
    provider: str


class ProfileAccount(Value, frozen=True):
    """The run's profile, a file beside the manifest: over how many rows, and of how many of them the quantiles."""

    path: str
    sha256: str
    rows: int
    sampled_rows: int


class ChallengerAccount(Value, frozen=True):
    """A second model that scored the same rows beside the champion, whose output it does not touch.

    `status` is "failed" where it stopped working out, with the first reason in `error`; the figures are then over the
    rows before. They are over the rows that both scored: `agreement` and `flips` count equal and differing predictions
    (null where the model has no labels), `differences` hold by score column the mean and largest absolute difference
    and the mean shift (challenger minus champion), `rank_correlation` is Spearman's, by score column. `cost_ratio` is
    the challenger's inference time over the champion's.
    """

    model: ModelAccount
    status: Literal["complete", "failed"]
    error: str
    rows: int
    rows_failed: int
    agreement: float | None
    flips: int | None
    differences: dict[str, ScoreDifference]
    rank_correlation: dict[str, float]
    inference_s: float
    cost_ratio: float | None
    name: str = ""


class ScoreDifference(Value, frozen=True):
    """Challenger minus champion, of one score column."""

    mean: float
    mean_absolute: float
    largest_absolute: float


class ArmAccount(Value, frozen=True):
    """One model of a split: the share that it was to score (0 to 1), and the rows that it did score."""

    model: ModelAccount
    share: float
    rows: int


class SplitAccount(Value, frozen=True):
    """Which model scored which rows: by a keyed hash of column `key`, under the experiment's name `salt`.

    The output's column `column` names each row's model. `rows_without_key` were given to the first arm, whatever its
    share, since their key is null: they are in its rows, and are no part of the experiment.
    """

    key: str
    salt: str
    column: str
    arms: tuple[ArmAccount, ...]
    rows_without_key: int = 0


class Manifest(Sealed, frozen=True):
    """The account of one finished run; a run without it does not exist."""

    known_format = MANIFEST_FORMAT
    run: Run
    model: ModelAccount
    inputs: tuple[InputAccount, ...]
    outputs: tuple[OutputFile, ...]
    rows: Rows
    deduplication: Deduplication
    throughput: Throughput
    environment: Environment
    plan: Plan
    profile: ProfileAccount | None = None
    drift: Drift | None = None
    challengers: tuple[ChallengerAccount, ...] = ()
    split: SplitAccount | None = None
    digest: str = ""


def read_manifest(path: Path) -> Manifest:
    """A manifest from its file.

    Raises InputMissing (66) where there is none, RunMismatch (65) where it was changed, InvalidConfig (78) for another
    format.
    """
    with translated(path, "read"):
        if not path.is_file():
            raise InputMissing(
                f"there is no {shown(path.name)}",
                shown(str(path.parent), limit=400),
                "name what --output named: a run without its manifest does not exist",
            )
        data = path.read_bytes()
    return decode_sealed(data, Manifest, where=shown(str(path), limit=400))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a manifest (draft 2020-12), as shipped in the package and published in the documentation."""
    return schema_of(Manifest, title="mlserve manifest")
