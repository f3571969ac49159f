"""Two models over the same rows, of one run or of many: every figure that there is of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from mlserve_cli.contract import Contract
from mlserve_cli.errors import UsageError
from mlserve_cli.manifest import FoundRun
from mlserve_cli.monitoring.labels import Labels, read_labels
from mlserve_cli.monitoring.metrics import libraries
from mlserve_cli.monitoring.run_rows import id_columns
from mlserve_cli.rollout.intervals import Groups
from mlserve_cli.rollout.pairs import Pairs, Side, likes, pair, units_of
from mlserve_cli.rollout.quality import labelled_side, no_label_fits, on_the_same_rows, places_of_labels
from mlserve_cli.rollout.request import CompareRequest
from mlserve_cli.rollout.shift import compare_columns, compare_decisions, joined, moved_most
from mlserve_cli.rollout.values import Comparison, Kind, Labelled, Subject


def compare_pairs(
    request: CompareRequest,
    kind: Kind,
    subjects: tuple[Subject, Subject],
    sides: Sequence[tuple[Side, Side]],
    *,
    labels: Labels | None,
    ratio: float | None,
    evidence: dict[str, str],
    notes: tuple[str, ...],
) -> Comparison:
    """All figures of two models over the same rows. Rows of one id in several runs belong together."""
    pairs = [pair(ours, theirs) for ours, theirs in sides]
    contracts = sides[0][0].contract, sides[0][1].contract
    alike = likes(*contracts)
    a, b = (joined([getattr(one, which) for one in pairs]) for which in ("a", "b"))
    groups = units_of([one.ids for one in pairs]) if len(pairs) > 1 else None
    ids = joined([one.ids for one in pairs])
    return Comparison(
        kind=kind,
        a=subjects[0],
        b=subjects[1],
        runs=len(pairs),
        rows=a.num_rows,
        only_a=sum(one.only_a for one in pairs),
        only_b=sum(one.only_b for one in pairs),
        confidence=request.confidence,
        expected_rows=request.expected_rows,
        columns=compare_columns(a, b, alike, sure=request.sure, groups=groups),
        decisions=compare_decisions(a, b, alike, sure=request.sure),
        moved=moved_most(ids, a, b, alike, most=request.moved),
        arms=None,
        labelled=None if labels is None else _labelled(request, pairs, a, b, contracts, labels=labels, groups=groups),
        cost_ratio=ratio,
        evidence=evidence,
        notes=notes,
    )


def _labelled(
    request: CompareRequest,
    pairs: Sequence[Pairs],
    a: pa.Table,
    b: pa.Table,
    contracts: tuple[Contract, Contract],
    *,
    labels: Labels,
    groups: Groups | None,
) -> Labelled | None:
    """Each run's rows find their labels by themselves, so that one label may belong to a row of each."""
    found = [places_of_labels(one.others, labels, asked=request.asked) for one in pairs]
    places = np.concatenate(found)
    chosen = np.flatnonzero(places >= 0)
    if not len(chosen):
        raise no_label_fits(pairs[0].others, labels)
    values, taken = labels.values.take(pa.array(places[chosen])), pa.array(chosen)
    sides = [
        labelled_side(contract, rows.take(taken), values, asked=request.asked)
        for contract, rows in zip(contracts, (a, b), strict=True)
    ]
    units = None if groups is None else groups[chosen]
    return on_the_same_rows(*sides, label=labels.column, groups=units, sure=request.sure)


def labels_for(request: CompareRequest, run: FoundRun) -> Labels | None:
    """The files of labels, by the columns that identify the run's rows."""
    if not request.labels:
        return None
    with libraries():
        import scipy.stats  # noqa: F401
        import sklearn.metrics  # noqa: F401
    if request.asked.as_of is not None and request.label_time is None:
        raise UsageError("--as-of needs to know when a label became known", "--as-of", "name the column: --label-time")
    on = dict(request.on) or {name: name for name in id_columns(run.manifest)}
    return read_labels(
        request.labels,
        on=on,
        column=request.label,
        time=request.label_time,
        dialect=request.dialect,
    )


def ids_for(labels: Labels | None) -> tuple[str, ...]:
    """The columns of a run by which its labels are found."""
    return () if labels is None else tuple(labels.ids.column_names)
