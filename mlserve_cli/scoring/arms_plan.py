"""A split in the plan: its models bound to one form of output, the key by which rows are theirs, the window."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract
from mlserve_cli.errors import InvalidModel, MissingColumn, TypeMismatch, UsageError, shown
from mlserve_cli.planning import Plan, PlannedRival, PlannedSplit
from mlserve_cli.planning.assignment import KEY_TYPES, takes_key
from mlserve_cli.scoring.repeats import window_rows_of
from mlserve_cli.scoring.request import ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.rivals import Found, Rivals, plan_rival
from mlserve_cli.scoring.rows import output_schema
from mlserve_cli.session import Predictor

ARM_COLUMN = "model"


def with_split(plan: Plan, request: ScoreRequest, champion: ResolvedModel, found: Found) -> tuple[Plan, Rivals]:
    """The plan with its rows split among the champion and the other arms.

    Raises what is wrong with an arm or with the key's column.
    """
    key = request.split_key or request.id_column or ""
    _check_key(plan, key)
    rivals: list[PlannedRival] = []
    models: dict[str, ResolvedModel] = {}
    predictors: dict[str, Predictor] = {}
    for place, (model, percent) in enumerate(zip(found.arms, found.percents[1:], strict=True), start=1):
        rows = int(plan.rows * percent / 100)
        rival, predictor = plan_rival(plan, request, model, name=f"arm-{place}", rows=rows)
        _check_outputs(plan.contract, rival, model)
        rivals.append(rival)
        models[rival.name], predictors[rival.name] = model, predictor
    every = (champion, *found.arms)
    split = PlannedSplit(
        key=key,
        salt=request.split_salt if request.split_salt is not None else _usual_salt(every),
        column=ARM_COLUMN,
        window_rows=_window_rows(plan, rivals),
        names=_names(every),
        percents=found.percents,
        rivals=tuple(rivals),
    )
    if ARM_COLUMN in output_schema(plan).names:
        raise UsageError(
            f"the output column {ARM_COLUMN} would stand twice",
            "which model scored the row, and what else is written",
            f"rename a score with --output-columns {ARM_COLUMN}=NEW, or leave the column out of --passthrough",
        )
    return msgspec.structs.replace(plan, split=split), Rivals(models, predictors, ())


def _check_key(plan: Plan, key: str) -> None:
    for shard in plan.inputs:
        present = tuple(column.name for column in shard.columns)
        if key not in present:
            raise MissingColumn(shard.name, key, present)
        in_file = {column.name for column in shard.file_columns}
        if shard.format == "csv" or key not in in_file:
            continue  # text
        kind = tables.part_schema(shard.os_path).field(key).type
        if not takes_key(kind):
            raise TypeMismatch(shard.name, key, str(kind), f"{KEY_TYPES}: it says whom a row is about")


def _check_outputs(champion: Contract, rival: PlannedRival, model: ResolvedModel) -> None:
    """One output cannot hold what two models call otherwise or give as another type."""
    ours, theirs = features.output_schema(champion), features.output_schema(rival.contract)
    if not ours.equals(theirs):
        raise InvalidModel(
            f"the models write other columns: {_columns_text(ours)} the first, {_columns_text(theirs)} this one",
            shown(model.found.spelled),
            "name both in their packages' contracts, or compare them with --challenger",
        )


def _columns_text(schema: pa.Schema) -> str:
    return ", ".join(f"{shown(one.name)} ({one.type})" for one in schema)


def _usual_salt(models: Sequence[ResolvedModel]) -> str:
    """The models' names without their versions: promoting one reshuffles nothing."""
    return "|".join(sorted({tables.text_of(model.found.name) for model in models}))


def _names(models: Sequence[ResolvedModel]) -> tuple[str, ...]:
    """NAME:VERSION, with the digest's beginning where two would be called so."""
    plain = [tables.text_of(model.found.spelled) for model in models]
    return tuple(
        name if plain.count(name) == 1 else f"{name}@{model.package.digest.removeprefix('sha256:')[:12]}"
        for name, model in zip(plain, models, strict=True)
    )


def _window_rows(plan: Plan, rivals: Sequence[PlannedRival]) -> int:
    """Rows among which each model's are scored together: whole batches of the largest, as many as memory suits."""
    largest = max([plan.batch_rows, *(rival.batch_rows for rival in rivals)])
    return window_rows_of(msgspec.structs.replace(plan, batch_rows=largest))
