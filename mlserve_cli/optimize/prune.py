"""Makes a version of a model without what its written scores do not need, and proves that they stay what they were.

Lossless steps must give the same scores to the bit on every row, or they are taken back. Zeroing small weights is not
lossless: that goes through the gates of quantisation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import numpy as np

from mlserve_cli import tables
from mlserve_cli.contract import Contract, Declared, DeclaredInput, DeclaredOutput, Input, Scalar, bind
from mlserve_cli.errors import DataError, InvalidModel, UsageError
from mlserve_cli.optimize.gate import Gate, Scores, compare
from mlserve_cli.optimize.graph import (
    drop_dead,
    drop_default_keys,
    drop_inputs,
    folded,
    set_small_to_zero,
    without_outputs,
)
from mlserve_cli.optimize.made import Child, Made, Place, make
from mlserve_cli.optimize.measure import SPEED_S, speed_ratio
from mlserve_cli.optimize.methods import parse_model
from mlserve_cli.optimize.narrow import Columns, narrow_to_trees
from mlserve_cli.optimize.parent import Parent
from mlserve_cli.optimize.quantize import RowsRequest, open_for, read_rows, rows_notes
from mlserve_cli.optimize.rows import Rows, Tensors, rows_for, scores_of
from mlserve_cli.optimize.trial import Bench, Limits
from mlserve_cli.registry import GateResult
from mlserve_cli.session import Predictor, facts_of

NAMES = "feature_names"  # of the metadata


@dataclass(frozen=True, slots=True)
class PruneRequest:
    """What `mlserve model prune` is asked for. `sparsity` is the share of weights to set to zero, 0 for none,
    and `speed_s` how long speed is measured.

    Without data the package's golden rows are the rows that must score alike.
    """

    model: str
    rows: RowsRequest
    sparsity: float = 0.0
    limits: Limits = field(default_factory=Limits)
    speed_s: float = SPEED_S


@dataclass(frozen=True, slots=True)
class Pruned:
    """A model so far: `kept` has the columns of the inputs that became narrower, `gone` the inputs that went."""

    data: bytes
    contract: Contract
    kept: dict[str, Columns] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()

    def inputs_of(self, rows: Rows) -> Rows:
        """The parent's rows as this model takes them."""
        tensors: Tensors = {
            name: np.ascontiguousarray(values[:, self.kept[name]]) if name in self.kept else values
            for name, values in rows.tensors.items()
            if name not in self.gone
        }
        return replace(rows, tensors=tensors)


def prune(request: PruneRequest, place: Place) -> Made:
    """A pruned version of a model, at `place`.

    Raises UsageError (2) where there is nothing to prune, GateFailed (4) where a gate said no.
    """
    place.check()
    parent = open_for(request.model, request.rows, registry=place.registry)
    rows = _rows(parent, request)
    scores = scores_of(parent.predictor, rows, batch_rows=parent.batch_rows)
    pruned, notes = prune_losslessly(parent, rows, scores)
    before = pruned.steps
    if request.sparsity:
        pruned = _sparse(pruned, request.sparsity)
    if not pruned.steps:
        raise UsageError(f"there is nothing to prune in {parent.found.spelled}", "", "; ".join(notes) or _WHAT_ELSE)
    predictor = _open(parent, pruned)
    gates = (
        _judged(parent, pruned, predictor, rows, request.limits)
        if request.sparsity
        else (identity(scores, scores_of(predictor, pruned.inputs_of(rows), batch_rows=parent.batch_rows), pruned),)
    )
    gates = (*gates, _speed(parent, pruned, predictor, rows, seconds=request.speed_s))
    notes = (*notes, *rows_notes(rows), *([_NO_FASTER] if request.sparsity else []))
    return make(parent, _child(pruned, predictor, gates, notes, request, lossless=len(before)), place)


_WHAT_ELSE = "--sparsity X sets the smallest weights of a network to zero"
_NO_FASTER = "zeros take as much room and time as other numbers here: a sparse file is smaller only when compressed"


def prune_losslessly(parent: Parent, rows: Rows, scores: Scores) -> tuple[Pruned, tuple[str, ...]]:
    """All lossless steps that do something and leave every score what it was; and a note for each that did not."""
    pruned = Pruned(parent.data, parent.contract)
    notes: tuple[str, ...] = ()
    for step in _STEPS:
        changed = step(pruned)
        if changed is None:
            continue
        wrong = _difference(parent, changed, rows, scores)
        if wrong:
            notes = (*notes, f"taken back, since {wrong}: {changed.steps[-1]}")
        else:
            pruned = changed
    return pruned, notes


def identity(before: Scores, after: Scores, pruned: Pruned) -> GateResult:
    """The gate of what must change nothing: rows whose scores are not the same to the bit."""
    differing = np.zeros(len(next(iter(before.values()))), np.bool_)
    for output in pruned.contract.outputs:
        one, other = before[output.tensor.name], after[output.tensor.name]
        differing |= _bits_differ(one, other)
    figures = compare(before, after, contract=pruned.contract).figures
    figures = {"differing_rows": float(differing.sum()), **figures}
    return Gate("identity", most={"differing_rows": 0.0}).judge(figures, rows=len(differing))


# The steps, in order


def _drop_outputs(pruned: Pruned) -> Pruned | None:
    wanted = [output.tensor for output in pruned.contract.outputs]
    data, outputs = without_outputs(pruned.data, wanted, where="the model")
    return _stepped(pruned, data, f"outputs that are not written: {outputs}") if data != pruned.data else None


def _drop_dead(pruned: Pruned) -> Pruned | None:
    model = parse_model(pruned.data)
    nodes, constants = drop_dead(model)
    gone = drop_inputs(model)
    if not (nodes or constants or gone):
        return None
    inputs = f", inputs {len(gone)} ({', '.join(gone)})" if gone else ""
    return _without_inputs(pruned, model, gone, f"dead nodes: {nodes}, constants {constants}{inputs}")


def _narrow(pruned: Pruned) -> Pruned | None:
    model = parse_model(pruned.data)
    widths = {
        part.tensor.name: len(part.columns)
        for part in pruned.contract.inputs
        if not part.is_list and len(part.tensor.shape) == 2 and part.tensor.width in (None, len(part.columns))
    }
    done = narrow_to_trees(model, widths)
    drop_dead(model)
    gone = drop_inputs(model)
    lost = [
        *(column for part in pruned.contract.inputs if part.tensor.name in gone for column in part.columns),
        *(
            column
            for part in pruned.contract.inputs
            if part.tensor.name in done.inputs
            for column in _left(part.columns, done.inputs[part.tensor.name])
        ),
    ]
    if not (lost or done.categories):
        return None
    inputs = tuple(_narrowed(part, done.inputs.get(part.tensor.name), model) for part in pruned.contract.inputs)
    narrower = replace(
        pruned,
        contract=msgspec.structs.replace(pruned.contract, inputs=inputs),
        kept=pruned.kept | done.inputs,
    )
    what = [f"features that no tree reads: {len(lost)} ({', '.join(lost)})"] if lost else []
    what += [f"categories that no tree reads: {done.categories}"] if done.categories else []
    return _without_inputs(narrower, model, gone, "; ".join(what))


def _drop_keys(pruned: Pruned) -> Pruned | None:
    model = parse_model(pruned.data)
    keys = drop_default_keys(model)
    return _stepped(pruned, model.SerializeToString(), f"categories like any unknown one: {keys}") if keys else None


def _fold(pruned: Pruned) -> Pruned | None:
    """Only where nodes went: else the file was written anew, and that is all."""
    data = folded(pruned.data)
    before, after = parse_model(pruned.data), parse_model(data)
    fewer = len(before.graph.node) - len(after.graph.node)
    return _stepped(pruned, data, f"nodes folded into constants or into others: {fewer}") if fewer > 0 else None


_STEPS: Sequence[Callable[[Pruned], Pruned | None]] = (_drop_outputs, _drop_dead, _narrow, _drop_keys, _fold)


def _sparse(pruned: Pruned, sparsity: float) -> Pruned:
    model = parse_model(pruned.data)
    zeroed, total = set_small_to_zero(model, sparsity)
    if not total:
        raise UsageError("the model has no weight matrix to thin out", "--sparsity", "leave it out")
    return _stepped(pruned, model.SerializeToString(), f"weights set to zero: {zeroed:,} of {total:,}")


# What they have in common


def _stepped(pruned: Pruned, data: bytes, step: str) -> Pruned:
    return replace(pruned, data=data, steps=(*pruned.steps, step))


def _without_inputs(pruned: Pruned, model: Any, gone: Sequence[str], step: str) -> Pruned:
    inputs = tuple(part for part in pruned.contract.inputs if part.tensor.name not in gone)
    contract = msgspec.structs.replace(pruned.contract, inputs=inputs)
    return replace(
        pruned,
        data=model.SerializeToString(),
        contract=contract,
        gone=(*pruned.gone, *gone),
        steps=(*pruned.steps, step),
    )


def _left(columns: tuple[str, ...], kept: Columns) -> list[str]:
    return [column for place, column in enumerate(columns) if place not in set(kept.tolist())]


def _narrowed(part: Input, kept: Columns | None, model: Any) -> Input:
    """The input with the kept columns alone, in the contract and in the model itself, its names in the metadata too."""
    if kept is None:
        return part
    columns = tuple(part.columns[place] for place in kept.tolist())
    value = next(value for value in model.graph.input if value.name == part.tensor.name)
    value.type.tensor_type.shape.dim[1].dim_value = len(columns)
    for entry in model.metadata_props:
        if entry.key == NAMES:
            entry.value = json.dumps(list(columns))
    shape = (part.tensor.shape[0], len(columns))
    return Input(msgspec.structs.replace(part.tensor, shape=shape), columns)


def _open(parent: Parent, pruned: Pruned) -> Predictor:
    return parent.open_child(pruned.data, contract=pruned.contract)


def _difference(parent: Parent, pruned: Pruned, rows: Rows, scores: Scores) -> str:
    """Why the step cannot stand, "" where it can: nothing here is the user's fault, so nothing is raised."""
    try:
        found = scores_of(_open(parent, pruned), pruned.inputs_of(rows), batch_rows=parent.batch_rows)
        bound_again(pruned)
    except (DataError, InvalidModel) as error:
        return error.what
    result = identity(scores, found, pruned)
    return "" if result.passed else f"{result.figures['differing_rows']:,.0f} rows score otherwise"


def bound_again(pruned: Pruned) -> Declared:
    """The contract as the package declares it, proved to bind the model as it is now to the same columns."""
    declared = _declared(pruned)
    bound = bind(facts_of(pruned.data, where="the pruned model"), declared, nan_scores="allow")
    same = [(part.tensor.name, part.columns) for part in bound.inputs] == [
        (part.tensor.name, part.columns) for part in pruned.contract.inputs
    ]
    outputs = [(one.tensor.name, one.columns, one.role, one.classes) for one in bound.outputs]
    if not same or outputs != [
        (one.tensor.name, one.columns, one.role, one.classes) for one in pruned.contract.outputs
    ]:
        raise InvalidModel("the contract would be another one")
    return declared


def _declared(pruned: Pruned) -> Declared:
    contract = pruned.contract
    known = facts_of(pruned.data, where="the pruned model").classes
    return Declared(
        inputs=tuple(DeclaredInput(part.tensor.name, part.columns) for part in contract.inputs),
        outputs=tuple(
            DeclaredOutput(one.tensor.name, one.columns, one.role, () if known.get(one.tensor.name) else one.classes)
            for one in contract.outputs
        ),
        nulls=contract.nulls,
        threshold=contract.threshold,
        fill={column: value for column, value in contract.fill.items() if column in contract.columns},
    )


def _bits_differ(one: Any, other: Any) -> Any:
    """Rows (bool, shape [rows]) in which any value differs; NaN is like NaN, and 0 is not -0."""
    one, other = one.reshape(len(one), -1), other.reshape(len(other), -1)
    if one.shape != other.shape or one.dtype != other.dtype:
        return np.ones(len(one), np.bool_)
    if one.dtype.kind != "f":
        return (one != other).any(axis=1)
    bits = np.dtype(f"u{one.dtype.itemsize}")
    same = (np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits)) | (
        np.isnan(one) & np.isnan(other)
    )
    return ~same.all(axis=1)


def _rows(parent: Parent, request: PruneRequest) -> Rows:
    """Held-out rows: of the data, else the golden ones."""
    golden = parent.package.golden
    if request.rows.data or request.rows.holdout or golden is None:
        return read_rows(parent, request.rows, calibrate=False)[1]
    contract = msgspec.structs.replace(parent.contract, rename={}, nulls="nan")
    path = tables.os_path(tables.text_of(f"{parent.package.path}/{golden.file}"))
    return rows_for((path,), contract, limit=request.rows.gate_rows)


def _judged(parent: Parent, pruned: Pruned, predictor: Predictor, rows: Rows, limits: Limits) -> tuple[GateResult, ...]:
    return Bench.of(parent, rows, limits).judge(_Narrow(predictor, pruned))


def _speed(parent: Parent, pruned: Pruned, predictor: Predictor, rows: Rows, *, seconds: float) -> GateResult:
    """Told, not judged: what is lossless may be as slow as before."""
    figures = speed_ratio(
        parent.predictor,
        predictor,
        rows,
        batch_rows=parent.batch_rows,
        child_rows=pruned.inputs_of(rows),
        seconds=seconds,
    )
    figures |= {"size_ratio": len(pruned.data) / len(parent.data), "size_bytes": float(len(pruned.data))}
    return Gate("speed").judge(figures, rows=len(rows))


@dataclass(frozen=True, slots=True)
class _Narrow:
    """The pruned model as one that takes its parent's tensors."""

    predictor: Predictor
    pruned: Pruned

    def predict(self, tensors: Any) -> dict[str, Any]:
        """See Predictor."""
        rows = self.pruned.inputs_of(Rows(dict(tensors), None, 0, ""))
        return self.predictor.predict(rows.tensors)


def _child(
    pruned: Pruned,
    predictor: Predictor,
    gates: tuple[GateResult, ...],
    notes: tuple[str, ...],
    request: PruneRequest,
    *,
    lossless: int,
) -> Child:
    parameters: dict[str, Scalar] = {"lossless_steps": lossless}
    if request.sparsity:
        parameters["sparsity"] = request.sparsity
    return Child(
        operation="prune",
        data=pruned.data,
        predictor=predictor,
        contract=pruned.contract,
        declared=bound_again(pruned),
        parameters=parameters,
        gates=gates,
        steps=pruned.steps,
        notes=notes,
    )
