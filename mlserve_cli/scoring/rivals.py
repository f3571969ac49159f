"""The other models of a run: challengers beside the champion, arms of a split; found, bound to the rows, planned.

A challenger never ends a run: what is wrong with it becomes a value, told at once and kept for the manifest. An arm's
rows are the run's own, so what is wrong with an arm is raised as it is for the champion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeAlias, TypeVar

import msgspec

from mlserve_cli import features
from mlserve_cli.contract import Contract, bind
from mlserve_cli.errors import InvalidModel, MlserveError, UsageError, shown
from mlserve_cli.planning import Plan, PlannedRival, batch_rows_for
from mlserve_cli.scoring.predictors import choose_predictor, open_bound
from mlserve_cli.scoring.repeats import provable_window
from mlserve_cli.scoring.request import Observer, ScoreRequest
from mlserve_cli.scoring.resolve import ResolvedModel, resolve
from mlserve_cli.scoring.rival_options import arms_of
from mlserve_cli.scoring.rows import id_schema
from mlserve_cli.session import Predictor
from mlserve_cli.tables import text_of

T = TypeVar("T")
Names: TypeAlias = tuple[str, ...]
# A chunk holds whole batches of every model. Where two sizes have no such number below this, the champion's is taken.
MOST_UNIT_ROWS = 65_536


class FailedRival(msgspec.Struct, frozen=True):
    """A challenger that no row is scored with: as it was asked for, and why."""

    spelled: str
    error: str


class Found(msgspec.Struct, frozen=True):
    """The models beside the champion, found: challengers, or the arms of a split but the first, with all percents."""

    challengers: tuple[ResolvedModel, ...] = ()
    failed: tuple[FailedRival, ...] = ()
    arms: tuple[ResolvedModel, ...] = ()
    percents: tuple[float, ...] = ()


class Rivals(msgspec.Struct, frozen=True):
    """Those that take part, by their names in the plan, with a session each; and the challengers that do not."""

    models: Mapping[str, ResolvedModel]
    predictors: Mapping[str, Predictor]
    failed: tuple[FailedRival, ...]

    @property
    def size_bytes(self) -> int:
        """Of their files."""
        return sum(model.facts.size_bytes for model in self.models.values())


NO_RIVALS = Rivals({}, {}, ())


def resolve_all(request: ScoreRequest, *, observer: Observer) -> tuple[ResolvedModel, Found]:
    """The champion, and the others. Of a split the first arm is the champion.

    Raises UsageError (2) where the options contradict each other, and what `resolve` does for champion and arms.
    """
    arms = arms_of(request)
    champion, *others = (_resolve(name, request) for name in arms or (request.model,))
    if arms:
        return champion, Found(arms=tuple(others), percents=tuple(arms.values()))
    several = [_or_failed(partial(_resolve, name, request), name, observer) for name in request.challengers]
    return champion, Found(*_apart(several))


def with_rivals(
    plan: Plan, request: ScoreRequest, champion: ResolvedModel, found: Found, *, observer: Observer
) -> tuple[Plan, Rivals]:
    """The plan with the other models in it, and what is held of them until the run ends.

    Raises what is wrong with an arm.
    """
    if found.arms:
        from mlserve_cli.scoring.arms_plan import with_split  # with the hash, which few runs need

        return with_split(plan, request, champion, found)
    return with_challengers(plan, request, found, observer=observer)


def with_challengers(plan: Plan, request: ScoreRequest, found: Found, *, observer: Observer) -> tuple[Plan, Rivals]:
    """The plan with the challengers that can score its rows; the rest are failed."""
    models: dict[str, ResolvedModel] = {}
    predictors: dict[str, Predictor] = {}
    failed = list(found.failed)
    for model in found.challengers:
        name = _name_of(model, taken=models)
        planned = _or_failed(partial(plan_rival, plan, request, model, name=name), model.found.spelled, observer)
        if isinstance(planned, FailedRival):
            failed.append(planned)
            continue
        rival, predictors[name] = planned
        models[name] = model
        plan = msgspec.structs.replace(plan, challengers=(*plan.challengers, rival))
    return plan, Rivals(models, predictors, tuple(failed))


def plan_rival(
    plan: Plan, request: ScoreRequest, model: ResolvedModel, *, name: str, rows: int | None = None
) -> tuple[PlannedRival, Predictor]:
    """A challenger bound to the plan's rows as the champion is, or with `rows` an arm that scores so many of them.

    Raises what is wrong with it.
    """
    is_arm = rows is not None
    contract, plain = _bound(plan, request, model, is_arm=is_arm)
    for shard in plan.inputs:
        features.check_types(contract, [(column.name, column.type) for column in shard.columns], file=shard.name)
    predictor = "auto" if request.predictor == "trees" else request.predictor
    chosen = choose_predictor(
        replace(request, predictor=predictor),
        model,
        contract,
        plain=plain,
        rows=plan.rows if rows is None else rows,
        batch_rows=_batch_rows(plan, request, model, contract),
    )
    batch_rows = _batch_rows(plan, request, model, contract, threads=chosen.threads)
    rival = PlannedRival(name, model.planned(contract), contract, batch_rows, chosen.name, chosen.reason)
    if not is_arm:
        _refuse_name_clash(plan, contract)
        rival = msgspec.structs.replace(rival, deduplicate_rows=_window(plan, rival, model, chosen.predictor))
    return rival, chosen.predictor


def _resolve(name: str, request: ScoreRequest) -> ResolvedModel:
    return resolve(name, registry=request.registry, trust_policy=request.trust_policy)


def _or_failed(act: Callable[[], T], spelled: str, observer: Observer) -> T | FailedRival:
    try:
        return act()
    except MlserveError as error:
        observer.warn(f"challenger {shown(spelled)} takes no part: {error}")
        return FailedRival(text_of(spelled), str(error))


def _apart(found: Iterable[ResolvedModel | FailedRival]) -> tuple[tuple[ResolvedModel, ...], tuple[FailedRival, ...]]:
    several = tuple(found)
    models = tuple(one for one in several if isinstance(one, ResolvedModel))
    return models, tuple(one for one in several if isinstance(one, FailedRival))


def _name_of(model: ResolvedModel, *, taken: Container[str]) -> str:
    """NAME-VERSION as a folder may be called, with a number behind where two would be called so."""
    found = model.found
    name = "-".join(filter(None, (text_of(found.name), text_of(found.version))))
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".")[:80] or "model"
    if plain not in taken:
        return plain
    number = 2
    while f"{plain}-{number}" in taken:
        number += 1
    return f"{plain}-{number}"


def _bound(plan: Plan, request: ScoreRequest, model: ResolvedModel, *, is_arm: bool) -> tuple[Contract, Predictor]:
    """Its contract over the run's columns: the request's options as far as they mean something to it, and a session.

    Features are its own columns, or those of --features where it names none.
    """
    as_asked = partial(
        bind,
        model.facts,
        model.package.declared,
        nulls=request.nulls,
        nan_scores=request.nan_scores,
        schema_mode=request.schema_mode,
        threshold=request.threshold,
        labels=request.labels,
        file_columns=tuple(column.name for column in plan.inputs[0].columns) if plan.inputs else None,
    )
    own, names = _own_or_named(as_asked, request, plan)
    written = _written(own)
    contract = as_asked(
        features=names,
        rename={column: name for column, name in request.rename.items() if column in own.columns},
        output_columns={old: new for old, new in request.output_columns.items() if is_arm or old in written},
    )
    return open_bound(model, contract)


def _own_or_named(as_asked: Callable[..., Contract], request: ScoreRequest, plan: Plan) -> tuple[Contract, Names]:
    """The contract by the model's own columns; by --features where it names none, or names none that are there."""
    present = {column.name for shard in plan.inputs[:1] for column in shard.columns}
    try:
        own = as_asked()
    except (InvalidModel, UsageError):
        return as_asked(features=request.features), request.features
    if request.features and not present.issuperset(request.rename.get(column, column) for column in own.columns):
        with suppress(InvalidModel, UsageError):
            named = as_asked(features=request.features)
            if [len(part.columns) for part in named.inputs] == [len(part.columns) for part in own.inputs]:
                return named, request.features
    return own, ()


def _written(contract: Contract) -> set[str]:
    """The columns that a contract writes, whatever their types."""
    names = {name for output in contract.outputs for name in output.columns}
    return names | {contract.prediction} if contract.threshold is not None else names


def _batch_rows(
    plan: Plan, request: ScoreRequest, model: ResolvedModel, contract: Contract, *, threads: int = 1
) -> int:
    """Its own best size where that goes with the champion's, else the champion's. Raises InvalidModel (78)."""
    fixed = model.facts.fixed_batch
    wanted = fixed or request.batch_rows or batch_rows_for(model.facts, contract, threads=threads)
    if math.lcm(plan.unit_rows, wanted) <= max(MOST_UNIT_ROWS, plan.unit_rows):
        return wanted
    if fixed:
        raise InvalidModel(
            f"the model takes {fixed} rows at a time, the champion's rows go in steps of {plan.unit_rows}",
            shown(model.package.model_path, limit=400),
            f"--batch-rows {fixed} suits both, or export the model with a free batch dimension",
        )
    return plan.batch_rows


def _window(plan: Plan, rival: PlannedRival, model: ResolvedModel, predictor: Predictor) -> int:
    """The champion's window for repeats where the challenger's rows may be scored once too, else 0."""
    if not plan.deduplicate_rows or plan.deduplicate_rows % rival.batch_rows:
        return 0
    own = msgspec.structs.replace(plan.of(rival), deduplicate_rows=plan.deduplicate_rows)
    return provable_window(own, facts=model.facts, predictor=predictor)


def _refuse_name_clash(plan: Plan, contract: Contract) -> None:
    for name in features.output_schema(contract).names:
        if name in id_schema(plan).names:
            raise InvalidModel(f"the output column {shown(name)} would stand twice", "", "rename it in its package")
