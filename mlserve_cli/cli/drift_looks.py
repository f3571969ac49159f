"""What is shown of a drift: which columns moved, how far, and by what they are held to have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlserve_cli.cli.gate_looks import verdict_error, verdict_lines
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.monitoring.drift_gate import JudgedDrift
    from mlserve_cli.profiles import ColumnDrift, Drift

COLUMNS_SHOWN = 20
NAMED = 5
MOST_TOLD = 50  # in a last line that nobody asked for: a scheduler keeps it, and Airflow not more than 48 KiB
WORDS = {"psi": "PSI", "js": "JS", "ks": "KS", "out_of_range": "out of range"}
HINT = "look at the columns: mlserve drift BASE RUN shows all of them; their limits stand in --drift-thresholds"


def drift_lines(found: Drift, judged: JudgedDrift | None) -> list[str]:
    """A table of the columns, what moved most first; then what a gate said of it."""
    widest = max(len("column"), *(len(shown(column.name, limit=40)) for column in found.columns[:COLUMNS_SHOWN]))
    head = f"{'':2}{'column':<{widest}}  {'PSI':>7} {'noise':>7} {'JS':>6} {'KS':>6}  {'mean':>21}  {'nulls':>17}"
    more = len(found.columns) - COLUMNS_SHOWN
    return [
        f"{_verdict(found)}: {found.now_rows:,} rows beside {found.base_rows:,} of {shown(found.base, limit=400)}",
        head + "  drift",
        *(_column_line(column, widest) for column in found.columns[:COLUMNS_SHOWN]),
        *([f"  … and {more:,} more columns"] if more > 0 else []),
        *_not_compared("only in the base", found.missing),
        *_not_compared("only here", found.added),
        f"  By chance alone any alarm at all is raised in {100 * found.false_alarm_rate:g} % of such comparisons.",
        *(verdict_lines(judged.verdict, recorded=judged.recorded) if judged is not None else []),
    ]


def drift_facts(found: Drift, judged: JudgedDrift | None, *, whole: bool) -> Facts:
    """The verdict for machines, what moved most first: all columns (`whole`), or the first of those that drifted; and
    a gate's.

    With an `error`, as every command has it, where the exit code is 4.
    """
    import msgspec

    facts: dict[str, object] = msgspec.to_builtins(found)
    told = found.columns if whole else _drifted(found)[:MOST_TOLD]
    facts["columns"] = [column_facts(column) for column in told]
    facts["drifted_columns"] = len(_drifted(found))
    if judged is not None:
        facts |= {"verdict": msgspec.to_builtins(judged.verdict), "recorded": judged.recorded}
    if not found.passed:
        return {"status": "failed", "exit_code": 4, "error": drift_error(found), **facts}
    if judged is not None and not judged.verdict.passed:
        return {"status": "failed", "exit_code": 4, "error": verdict_error(judged.verdict), **facts}
    return {"status": "complete", "exit_code": 0, **facts}


def column_facts(column: ColumnDrift) -> dict[str, object]:
    """One column's figures, rounded as nobody needs more of them."""
    import msgspec

    facts: dict[str, object] = msgspec.to_builtins(column)
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in facts.items()}


def drift_error(found: Drift) -> dict[str, str]:
    """What a gate that said no is told as, the columns ranked."""
    drifted = _drifted(found)
    named = "; ".join(f"{shown(column.name)} ({reasons_text(column)})" for column in drifted[:NAMED])
    more = f"; and {len(drifted) - NAMED} more" if len(drifted) > NAMED else ""
    what = f"{len(drifted)} of {len(found.columns)} columns drifted from {shown(found.base, limit=400)}"
    return {"type": "GateFailed", "what": what, "where": named + more, "hint": HINT}


def run_drift_lines(found: Drift | None) -> list[str]:
    """The line that a run's summary has of it."""
    if found is None:
        return []
    if found.passed:
        return [f"  drift     none in {len(found.columns)} columns, beside {shown(found.base, limit=400)}"]
    drifted = _drifted(found)
    more = len(drifted) - NAMED
    return [
        f"  drift     {drift_error(found)['what']}",
        *(f"            {shown(column.name)}: {reasons_text(column)}" for column in drifted[:NAMED]),
        *([f"            and {more} more: mlserve drift shows them all"] if more > 0 else []),
    ]


def run_drift_facts(found: Drift | None, *, exit_code: int) -> Facts:
    """What a run's last line has of it; the error where it ended the command with 4."""
    if found is None:
        return {}
    failed: Mapping[str, object] = {} if exit_code != 4 or found.passed else {"error": drift_error(found)}
    drifted = [
        {"name": column.name, "reasons": column.reasons, "psi": round(column.psi, 4)}
        for column in _drifted(found)[:MOST_TOLD]
    ]
    told = {"passed": found.passed, "base": found.base, "drifted_columns": len(_drifted(found)), "drifted": drifted}
    return {"drift": told, **failed}


def reasons_text(column: ColumnDrift) -> str:
    """PSI 5.28 over 0.2, nulls 76 % after 70 %."""
    return ", ".join(_reason_text(reason, column) for reason in column.reasons)


def _reason_text(reason: str, column: ColumnDrift) -> str:
    limit = column.limits.get(reason, 0.0)
    match reason:
        case "kind":
            return f"it is a {column.kind} now"
        case "nulls":
            return f"nulls {percent(column.now_null_share)} after {percent(column.base_null_share)}"
        case "out_of_range":
            return f"out of range {percent(column.out_of_range)}"
        case "unseen":
            return f"unseen {percent(column.unseen)}: {', '.join(map(shown, column.unseen_values[:3]))}"
        case _:
            figure = {"psi": column.psi, "js": column.js, "ks": column.ks or 0.0}[reason]
            return f"{WORDS[reason]} {figure:.2f} over {limit:g}"


def _drifted(found: Drift) -> list[ColumnDrift]:
    return [column for column in found.columns if column.reasons]


def _verdict(found: Drift) -> str:
    drifted = len(_drifted(found))
    return f"{drifted} of {len(found.columns)} columns drifted" if drifted else "no drift"


def _column_line(column: ColumnDrift, widest: int) -> str:
    ks = "" if column.ks is None else f"{column.ks:.3f}"
    means = "" if column.now_mean is None else f"{_short(column.base_mean)} -> {_short(column.now_mean)}"
    nulls = f"{percent(column.base_null_share)} -> {percent(column.now_null_share)}"
    some_nulls = column.base_null_share or column.now_null_share
    return (
        f"{'':2}{shown(column.name, limit=40):<{widest}}  {column.psi:>7.3f} {column.noise:>7.3f} {column.js:>6.3f} "
        f"{ks:>6}  {means:>21}  {nulls if some_nulls else '':>17}  {reasons_text(column)}"
    ).rstrip()


def _not_compared(what: str, names: Sequence[str]) -> list[str]:
    some = ", ".join(map(shown, names[:8])) + (", …" if len(names) > 8 else "")
    return [f"  {what}: {some}"] if names else []


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def percent(share: float) -> str:
    """A share with one decimal; what is more than nothing is not shown as nothing."""
    return "<0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"
