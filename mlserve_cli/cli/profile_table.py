"""What `profile` shows: a line for each column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from mlserve_cli.cli.summary import count_text
from mlserve_cli.errors import shown
from mlserve_cli.profiles import ColumnProfile, Profile, quantiles

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts

SHARES = (0.0, 0.05, 0.5, 0.95, 1.0)
HEADS = ("nulls", "mean", "std", "min", "5 %", "median", "95 %", "max")
NAME_WIDTH, CELL_WIDTH = 20, 10
VALUES_SHOWN = 5
COLUMNS_SHOWN = 200


def profile_lines(found: Profile, *, output: str | None) -> list[str]:
    """A table of the numbers, a line for each category."""
    of_model = f", as {found.model[:19]} reads and scores them" if found.model else ""
    every = f", quantiles over {found.quantile_rows:,}" if found.quantile_rows < found.rows else ""
    return [
        f"profile of {count_text(found.rows, 'row')}{of_model}{every}",
        *_column_lines("features" if found.model else "columns", found.features),
        *_column_lines("scores", found.scores),
        *([f"  left out  {', '.join(map(shown, found.left_out))}"] if found.left_out else []),
        *([f"  written   {shown(output, limit=400)}"] if output is not None else []),
    ]


def profile_facts(found: Profile, *, output: str | None) -> Facts:
    """The same for machines; the sketches stand in --output."""
    return {
        "status": "complete",
        "exit_code": 0,
        "rows": found.rows,
        "quantile_rows": found.quantile_rows,
        "source": found.source,
        "model": found.model,
        "features": {name: _facts(one) for name, one in found.features.items()},
        "scores": {name: _facts(one) for name, one in found.scores.items()},
        "left_out": list(found.left_out),
        "output": output,
    }


def _column_lines(title: str, columns: Mapping[str, ColumnProfile]) -> list[str]:
    """Under a head: the numbers, then the categories."""
    if not columns:
        return []
    few = dict(list(columns.items())[:COLUMNS_SHOWN])
    more = len(columns) - len(few)
    return [
        f"  {title:<{NAME_WIDTH}}" + "".join(text.rjust(CELL_WIDTH) for text in HEADS),
        *(_number_line(name, one) for name, one in few.items() if one.kind == "number"),
        *(_category_line(name, one) for name, one in few.items() if one.kind == "category"),
        *([f"  … and {count_text(more, 'column')} more"] if more else []),
    ]


def _number_line(name: str, one: ColumnProfile) -> str:
    spread = [] if one.mean is None else [one.mean, one.standard_deviation, *quantiles(one, SHARES)]
    cells = [f"{one.null_share:.1%}", *("–" if value is None else f"{value:.4g}" for value in spread)]
    odd = f"  {one.infinities:,} infinite" if one.infinities else ""
    return f"  {shown(name, limit=NAME_WIDTH):<{NAME_WIDTH}}" + "".join(cell.rjust(CELL_WIDTH) for cell in cells) + odd


def _category_line(name: str, one: ColumnProfile) -> str:
    values = [f"{shown(value, limit=24)} {_share(count, one)}" for value, count in one.frequent.items()]
    about = "about " if one.other else ""
    rest = ", …" if len(values) > VALUES_SHOWN or one.other else ""
    nulls = f", {one.null_share:.1%} null" if one.nulls else ""
    return (
        f"  {shown(name, limit=NAME_WIDTH):<{NAME_WIDTH}}  {about}{one.distinct or 0:,.0f} values{nulls}: "
        f"{', '.join(values[:VALUES_SHOWN])}{rest}"
    )


def _share(count: int, one: ColumnProfile) -> str:
    return f"{count / one.present:.1%}" if one.present else "0"


def _facts(one: ColumnProfile) -> Facts:
    facts: dict[str, object] = {
        name: value
        for name, value in msgspec.to_builtins(one).items()
        if name not in ("quantiles", "distinct_sketch", "frequent", "sum_of_squares")
    }
    if one.kind == "category":
        return {**facts, "frequent": dict(list(one.frequent.items())[:VALUES_SHOWN])}
    named: dict[str, float] = {}
    if one.mean is not None:
        found = quantiles(one, SHARES).tolist()
        named = dict(zip(("min", "p05", "median", "p95", "max"), found, strict=True))
    return {**facts, "standard_deviation": one.standard_deviation, "quantiles": named}
