"""What `compare` shows: a table for each comparison, and what a gate said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli.gate_looks import verdict_error, verdict_lines
from mlserve_cli.cli.summary import count_text
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.rollout import Arms, Compared, Comparison, Labelled, Measured

BETTER = {"a": "A is better", "b": "B is better", "open": "still open"}


def compared_lines(found: Compared) -> list[str]:
    """Each comparison, then the verdict."""
    lines = [line for one in found.comparisons for line in _comparison_lines(one)]
    return [*lines, *verdict_lines(found.verdict, recorded=found.recorded)]


def compared_facts(found: Compared) -> Facts:
    """The whole of it; with an `error`, as every command has it, where a gate said no."""
    from mlserve_cli.rollout import figures_of

    built: dict[str, object] = msgspec.to_builtins(found)
    built["figures"] = [figures_of(one) for one in found.comparisons]
    verdict = found.verdict
    if verdict is None or verdict.passed:
        return {"status": "complete", "exit_code": 0, **built}
    return {"status": "failed", "exit_code": found.exit_code, "error": verdict_error(verdict), **built}


def _comparison_lines(one: Comparison) -> list[str]:
    a, b = shown(one.a.spelled), shown(one.b.spelled)
    runs = f" of {one.runs:,} runs" if one.runs > 1 else ""
    alone = [f"{number:,} in {which} alone" for which, number in (("A", one.only_a), ("B", one.only_b)) if number]
    lines = [
        f"A {a}, B {b}: {', '.join([f'{one.rows:,} rows{runs}', *alone])}",
        *_column_lines(one),
        *_decision_lines(one),
        *(_arm_lines(one.arms, one) if one.arms is not None else []),
        *(_label_lines(one.labelled, one) if one.labelled is not None else []),
    ]
    if one.cost_ratio is not None:
        lines.append(f"  cost      B takes {one.cost_ratio:.2f} times A's inference time for a row")
    rows = [(_row_text(moved.row), f"{moved.a:.4f}", f"{moved.b:.4f}") for moved in one.moved]
    lines += _table("  moved     ", [("ROW", "A", "B"), *rows]) if rows else []
    return [*lines, *(f"  note      {note}" for note in one.notes)]


def _column_lines(one: Comparison) -> list[str]:
    if not one.columns:
        return []
    rows = [("SCORE", "A MEAN", "B MEAN", "SHIFT", _sure(one), "MEAN |B-A|", "LARGEST", "RANK CORRELATION")]
    for column in one.columns:
        name = shown(column.a) if column.a == column.b else f"{shown(column.a)}, {shown(column.b)}"
        ranked = column.rank_correlation
        rows.append(
            (
                name,
                f"{column.a_mean:.4f}",
                f"{column.b_mean:.4f}",
                f"{column.shift.value:+.5f}",
                _between(column.shift, "+.5f"),
                f"{column.mean_absolute:.4f}",
                f"{column.largest_absolute:.4f}",
                f"{ranked.value:.4f}" if ranked is not None else "",
            )
        )
    return _table("  scores    ", rows)


def _decision_lines(one: Comparison) -> list[str]:
    found = one.decisions
    if found is None:
        return []
    moves = ", ".join(f"{shown(move.a)} to {shown(move.b)}: {move.rows:,}" for move in found.moves[:4])
    share = found.agreement
    return [
        f"  decisions {found.flips:,} of {found.rows:,} otherwise{f' ({moves})' if moves else ''}",
        f"            {share.value:.2%} alike, {_sure(one)} {_between(share, '.2%')}",
    ]


def _arm_lines(arms: Arms, one: Comparison) -> list[str]:
    odd = " (NOT as the shares say)" if arms.mismatch_p_value < 1e-3 else ""
    periods = f", shares changed {count_text(arms.periods - 1, 'time')}" if arms.periods > 1 else ""
    return [
        f"  split     by {shown(arms.key)}, {arms.a_share:.4g} to {arms.b_share:.4g}{periods}",
        f"  rows      A {arms.a_rows:,} of {arms.a_units:,} values, B {arms.b_rows:,} of {arms.b_units:,}{odd}",
        *(
            f"  scores    {shown(column)}: B's mean is {_with_interval(shift, '+.5f', one)} from A's"
            for column, shift in arms.shift.items()
        ),
    ]


def _label_lines(found: Labelled, one: Comparison) -> list[str]:
    what = "ids" if one.arms is None else f"values of {shown(one.arms.key)}"
    units = f" of {found.units:,} {what}" if found.units != found.rows else ""
    lines = [f"  labels    {shown(found.label)}: {found.rows:,} rows{units} with one"]
    if found.outcome is not None and found.a_outcome is not None and found.b_outcome is not None:
        lines.append(
            f"  outcome   A {found.a_outcome:.4f}, B {found.b_outcome:.4f}: "
            f"{_with_interval(found.outcome, '+.4f', one)}, anytime {_anytime(found.outcome, '+.4f')}"
        )
    rows = [("METRIC", "A", "B", "GAIN", _sure(one), "ANYTIME", "")]
    for metric in found.metrics:
        gain = metric.gain
        rows.append(
            (
                metric.metric,
                f"{metric.a:.4f}",
                f"{metric.b:.4f}",
                f"{gain.value:+.4f}",
                _between(gain, "+.4f"),
                _anytime(gain, "+.4f"),
                BETTER[metric.better],
            )
        )
    return [*lines, *_table("  metrics   ", rows)]


def _row_text(row: Mapping[str, str]) -> str:
    return " ".join(f"{shown(name)} {shown(value)}" for name, value in row.items())


def _with_interval(found: Measured, form: str, one: Comparison) -> str:
    return f"{found.value:{form}} ({_sure(one)}: {_between(found, form)})"


def _sure(one: Comparison) -> str:
    return f"{one.confidence * 100:g} %"


def _between(found: Measured, form: str) -> str:
    if found.low is None or found.high is None:
        return "not known"
    return f"{found.low:{form}} to {found.high:{form}}"


def _anytime(found: Measured, form: str) -> str:
    if found.anytime_low is None or found.anytime_high is None:
        return "too early"
    return f"{found.anytime_low:{form}} to {found.anytime_high:{form}}"


def _table(head: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [f"{head if not place else ' ' * len(head)}{line}" for place, line in enumerate(lines)]
