"""The frozen list of all that a run will do, and its identity."""

from __future__ import annotations

import math
import os
from typing import Literal

import msgspec

from mlserve_cli.contract import Contract, Input, Value, sha256_of
from mlserve_cli.tables import Dialect, Shard, os_path

PLAN_FORMAT = 1
PLACE_OF_A_MODEL = ("path", "name", "version")


class PlannedGolden(Value, frozen=True):
    """The rows that every worker scores before its first task. `columns` maps a written column to the expected one.

    `inputs` are the model's with the package's own columns, whatever the run's files call theirs.
    """

    file: str
    sha256: str
    tolerance: float
    inputs: tuple[Input, ...]
    columns: dict[str, str]


class PlannedModel(Value, frozen=True):
    """The model that a run scores with. `digest` is the package's, `sha256` the ONNX file's.

    `path` is where the package lay, `file` the ONNX file's name under it ("" where the path is the file itself).
    """

    name: str
    version: str
    path: str
    file: str
    digest: str
    sha256: str
    family: str
    precision: str
    external_files: tuple[str, ...]
    golden: PlannedGolden | None

    @property
    def model_path(self) -> str:
        """Where the ONNX file lay."""
        return os_path(os.path.join(self.path, self.file) if self.file else self.path)

    @property
    def folder(self) -> str:
        """Where the package lay."""
        return os_path(self.path)


class PlannedRival(Value, frozen=True):
    """Another model over the run's rows: a challenger that scores them beside the plan's own, or an arm of a split.

    `name` is NAME-VERSION, the folder of a challenger's scores. Of a challenger `deduplicate_rows` is the plan's window
    or 0; an arm has none.
    """

    name: str
    model: PlannedModel
    contract: Contract
    batch_rows: int
    predictor: Literal["onnxruntime", "trees"]
    predictor_reason: str = ""
    deduplicate_rows: int = 0


class PlannedSplit(Value, frozen=True):
    """Which model scores a row, by a hash of its column `key` that is keyed by `salt` (see planning.assignment).

    `names` are those that the output's column `column` gives to the models, `percents` their shares, 100 in all; the
    first is the plan's own model, `rivals` the others in that order. Among `window_rows` rows from a task's start on
    each model's rows are scored together.
    """

    key: str
    salt: str
    column: str
    window_rows: int
    names: tuple[str, ...]
    percents: tuple[float, ...]
    rivals: tuple[PlannedRival, ...]


class PlannedOutput(Value, frozen=True):
    """What each part looks like; without `id_column` each row starts with its source_file and source_row.

    `carried` are the input columns beside the predictions, by their names in the file; `carried_schema` is their Arrow
    schema (IPC, base64), since a nested type has no text form that reads back.
    """

    format: Literal["parquet", "csv"]
    compression: str
    row_group_rows: int
    id_column: str | None
    carried: tuple[str, ...]
    carried_schema: str


class Task(Value, frozen=True):
    """Rows [start_row, stop_row) of one shard; `number` counts within the shard, `id` within the plan."""

    id: int
    shard: int
    number: int
    start_row: int
    stop_row: int

    @property
    def rows(self) -> int:
        """How many rows the task holds."""
        return self.stop_row - self.start_row

    @property
    def stem(self) -> str:
        """The name that its part, its quarantine and its record share; sorted, the names give the input's order."""
        return f"part-{self.shard:05d}-{self.number:05d}"


class Plan(Value, frozen=True):
    """Everything on which the bytes of a run's output depend, and where its inputs lay.

    Among `deduplicate_rows` rows, a whole number of batches, those with the same features are scored once; 0 where
    each is scored by itself. Of each `profile_every` rows of a shard one goes to the quantiles of the run's profile; 0
    where the run has none.
    """

    format: int
    model: PlannedModel
    contract: Contract
    dialect: Dialect
    inputs: tuple[Shard, ...]
    tasks: tuple[Task, ...]
    batch_rows: int
    predictor: Literal["onnxruntime", "trees"]
    on_error: Literal["fail", "quarantine"]
    output: PlannedOutput
    predictor_reason: str = ""
    deduplicate_rows: int = 0
    deduplicate_reason: str = ""
    challengers: tuple[PlannedRival, ...] = ()
    split: PlannedSplit | None = None
    profile_every: int = 0

    @property
    def id(self) -> str:
        """sha256 of the canonical form without the places where things lay: a moved folder is the same work."""
        return sha256_of(_identity(self))

    @property
    def work_id(self) -> str:
        """sha256 of all that decides how any row is scored and written, without the inputs: parts of two plans with
        the same work over the same rows are the same bytes, whoever scored them beside, profiled or not."""
        apart = ("inputs", "tasks", "challengers", "profile_every")
        return sha256_of({name: value for name, value in _identity(self).items() if name not in apart})

    @property
    def rivals(self) -> tuple[PlannedRival, ...]:
        """Every model but the plan's own."""
        return (*self.challengers, *(self.split.rivals if self.split is not None else ()))

    @property
    def of_champion(self) -> Plan:
        """The same rows and output, scored with the plan's own model alone."""
        return msgspec.structs.replace(self, challengers=(), split=None)

    def of(self, rival: PlannedRival) -> Plan:
        """The same rows and output, scored with that model alone."""
        return msgspec.structs.replace(
            self,
            model=rival.model,
            contract=rival.contract,
            batch_rows=rival.batch_rows,
            predictor=rival.predictor,
            predictor_reason=rival.predictor_reason,
            deduplicate_rows=rival.deduplicate_rows,
            challengers=(),
            split=None,
        )

    @property
    def rows(self) -> int:
        """Input rows, all told."""
        return sum(task.rows for task in self.tasks)

    @property
    def unit_rows(self) -> int:
        """What is scored together: a chunk holds a whole number of it, for each model."""
        window = self.split.window_rows if self.split is not None else self.deduplicate_rows or self.batch_rows
        return math.lcm(window, *(one.deduplicate_rows or one.batch_rows for one in self.challengers))

    @property
    def part_suffix(self) -> str:
        """The ending of each part's name."""
        return f".{self.output.format}"


def difference(old: Plan, new: Plan) -> str:
    """What a person is told where a plan is not the one that stands: the first field that differs, both values."""
    return _first_difference(_identity(old), _identity(new), "")


def _identity(plan: Plan) -> dict[str, object]:
    """All that a plan is identified by: everything but where its model and inputs lay, and why it is what it is.

    A model's name and version go with its place: a file or a registry's shelf. What a package itself says is in its
    digest. Other models and a profile stand in it only where there are some: plans without keep their ids.
    """
    named = (name for name in plan.__struct_fields__ if not name.endswith("_reason"))
    identity: dict[str, object] = {
        **{name: msgspec.to_builtins(getattr(plan, name)) for name in named},
        "model": _without(plan.model, PLACE_OF_A_MODEL),
        "inputs": [_without(shard, ("path",)) for shard in plan.inputs],
    }
    del identity["challengers"], identity["split"]
    if not plan.profile_every:
        del identity["profile_every"]
    if plan.challengers:
        identity["challengers"] = [_of_rival(rival) for rival in plan.challengers]
    if plan.split is not None:
        identity["split"] = {**_without(plan.split, ()), "rivals": [_of_rival(rival) for rival in plan.split.rivals]}
    return identity


def _of_rival(rival: PlannedRival) -> dict[str, object]:
    return {**_without(rival, ("predictor_reason",)), "model": _without(rival.model, PLACE_OF_A_MODEL)}


def _first_difference(before: object, now: object, place: str) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        found = (
            _first_difference(before.get(key), now.get(key), f"{place}.{key}".lstrip("."))
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        )
        return next(found, "")
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        found = (
            _first_difference(a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b
        )
        return next(found, "")
    if isinstance(before, list) and isinstance(now, list):
        return f"{place}: {len(before)} entries there, {len(now)} now"
    return "" if before == now else f"{place}: {str(before)[:80]} there, {str(now)[:80]} now"


def _without(value: Value, names: tuple[str, ...]) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(value)
    return {name: content for name, content in fields.items() if name not in names}
