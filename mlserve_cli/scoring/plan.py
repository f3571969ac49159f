"""Makes the plan: find the shards, look into each, bind the contract, check every column, split, freeze."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from mlserve_cli import features, tables
from mlserve_cli.contract import Contract, bind
from mlserve_cli.errors import InvalidModel, MissingColumn, UsageError, shown
from mlserve_cli.planning import (
    PLAN_FORMAT,
    Plan,
    PlannedOutput,
    batch_rows_for,
    split,
)
from mlserve_cli.scoring.carried import common_schema, encode_schema
from mlserve_cli.scoring.machine import usable_cores
from mlserve_cli.scoring.predictors import choose_predictor, open_bound
from mlserve_cli.scoring.repeats import choose_window
from mlserve_cli.scoring.request import Observer, ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel
from mlserve_cli.scoring.run_profile import profile_every
from mlserve_cli.session import Predictor
from mlserve_cli.tables import Found, Shard

ROW_GROUP_ROWS = 65_536


def make_plan(
    request: ScoreRequest, model: ResolvedModel, *, inputs: Found | None, observer: Observer
) -> tuple[Plan, Predictor]:
    """Everything on which the run's bytes depend, frozen; and the session that the model was looked at with.

    `inputs` are the files, where they were found already (standard input).

    Raises what a shard's footer, header line or columns deserve (65, 66), and InvalidModel (78) where the model's
    inputs have no names.
    """
    found = inputs or tables.find_files(request.inputs, output=request.output, globs=request.globs)
    if found.skipped:
        observer.warn(f"{len(found.skipped)} files of other kinds were skipped, the first: {shown(found.skipped[0])}")
    shards = _look_into_all(found, request)
    contract, predictor = _open(request, model, shards)
    for shard in shards:
        columns = [(column.name, column.type) for column in shard.columns]
        features.check_types(contract, columns, file=shard.name)
    carried = _carried_columns(request, shards)
    _refuse_name_clashes(contract, carried, request)
    rows = sum(shard.rows for shard in shards)
    chosen = choose_predictor(
        request,
        model,
        contract,
        plain=predictor,
        rows=rows if request.limit is None else min(rows, request.limit),
        batch_rows=_batch_rows(request, model, contract),
    )
    batch_rows = _batch_rows(request, model, contract, threads=chosen.threads)
    kind = "network" if chosen.name == "trees" else model.facts.family  # a row costs about as much then
    plan = Plan(
        format=PLAN_FORMAT,
        model=model.planned(contract),
        contract=contract,
        dialect=request.dialect,
        inputs=shards,
        tasks=split(shards, family=kind, batch_rows=batch_rows, limit=request.limit),
        batch_rows=batch_rows,
        predictor=chosen.name,
        predictor_reason=chosen.reason,
        on_error=request.on_error,
        output=PlannedOutput(
            format=request.format,
            compression=request.compression or ("zstd" if request.format == "parquet" else "none"),
            row_group_rows=ROW_GROUP_ROWS,
            id_column=request.id_column,
            carried=carried,
            carried_schema=encode_schema(common_schema(shards, carried)),
        ),
    )
    window = choose_window(plan, request, facts=model.facts, predictor=chosen.predictor)
    plan = msgspec.structs.replace(plan, deduplicate_rows=window.rows, deduplicate_reason=window.reason)
    every = profile_every(request, is_package=model.package.described is not None, rows=plan.rows)
    return msgspec.structs.replace(plan, profile_every=every), chosen.predictor


def _look_into_all(found: Found, request: ScoreRequest) -> tuple[Shard, ...]:
    with ThreadPoolExecutor(usable_cores()) as pool:
        looked = [
            pool.submit(tables.look_into, file, index=index, dialect=request.dialect, input_format=request.input_format)
            for index, file in enumerate(found.files)
        ]
        try:
            return tuple(one.result() for one in looked)
        finally:
            pool.shutdown(cancel_futures=True)


def _open(request: ScoreRequest, model: ResolvedModel, shards: Sequence[Shard]) -> tuple[Contract, Predictor]:
    """The contract with every output's true shape, and a session: what cannot be run is refused before any shard is."""
    contract = bind(
        model.facts,
        model.package.declared,
        features=request.features,
        rename=dict(request.rename),
        nulls=request.nulls,
        nan_scores=request.nan_scores,
        schema_mode=request.schema_mode,
        threshold=request.threshold,
        labels=request.labels,
        output_columns=dict(request.output_columns),
        file_columns=tuple(column.name for column in shards[0].columns) if shards else None,
    )
    return open_bound(model, contract)


def _carried_columns(request: ScoreRequest, shards: Sequence[Shard]) -> tuple[str, ...]:
    """The input columns that go to the output: the id first, then what is passed through."""
    first = [column.name for column in shards[0].columns] if shards else []
    wanted = [request.id_column] if request.id_column is not None else []
    if request.passthrough == ("all",):
        wanted += [name for name in first if name != request.id_column]
    elif request.passthrough != ("none",):
        wanted += request.passthrough
    for name in wanted:
        if wanted.count(name) > 1:
            raise UsageError(
                f"column {shown(name)} is asked for twice", "--id-column and --passthrough", "once is enough"
            )
        for shard in shards:
            present = tuple(column.name for column in shard.columns)
            if name not in present:
                raise MissingColumn(shard.name, name, present)
    return tuple(wanted)


def _refuse_name_clashes(contract: Contract, carried: Sequence[str], request: ScoreRequest) -> None:
    sources = ("source_file", "source_row") if request.id_column is None else ()
    for name in sources:
        if name in carried:
            raise InvalidModel(
                f"the output column {shown(name)} would stand twice",
                "where each row comes from, and a column that is passed through",
                "name the rows' own --id-column, or leave it out of --passthrough",
            )
    for name in features.output_schema(contract).names:
        if name in (*carried, *sources):
            raise InvalidModel(
                f"the output column {shown(name)} would stand twice",
                "the model's output and a column that is passed through",
                f"rename it: --output-columns {name}=model_{name}",
            )


def _batch_rows(request: ScoreRequest, model: ResolvedModel, contract: Contract, *, threads: int = 1) -> int:
    fixed = model.facts.fixed_batch
    if fixed and request.batch_rows not in (None, fixed):
        raise UsageError(
            f"--batch-rows {request.batch_rows} contradicts the model, which takes {fixed} rows at a time",
            shown(model.package.model_path, limit=400),
            "leave --batch-rows out",
        )
    return request.batch_rows or batch_rows_for(model.facts, contract, threads=threads)
