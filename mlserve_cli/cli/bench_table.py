"""What `bench` shows: a table for each model, and the medians as one line of JSON."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mlserve_cli.benchmark import BenchResult, Measured, ModelResult
from mlserve_cli.cli.progress import MIB
from mlserve_cli.cli.summary import count_text
from mlserve_cli.errors import shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts

WIDTH = 80
NAME_WIDTH = 16


def bench_lines(found: BenchResult) -> list[str]:
    """Lines for people."""
    machine = f"{found.environment.cpu}, {count_text(found.cores, 'core')}"
    return [
        f"measured on {machine}: whole processes in turns, medians of {count_text(found.rounds, 'round')}",
        *(line for model in found.models for line in ["", *_model_lines(model)]),
        "",
        *_legend(found),
    ]


def _model_lines(model: ModelResult) -> list[str]:
    head = f"{shown(model.model, limit=400)}: {model.rows:,} rows of {count_text(model.files, 'file')}"
    troubles = [f"  {one.name}: {shown(one.trouble, limit=400)}" for one in model.contenders if one.trouble]
    not_compared = ["not compared:", *troubles] if troubles else []
    return [f"{head}, {count_text(model.columns, 'column')} to the model", *_table(model), *not_compared]


def _legend(found: BenchResult) -> list[str]:
    """What each is, and each column that does not say it."""
    about = {one.name: one.about for model in found.models for one in model.contenders}
    return [
        *(f"  {name:<{NAME_WIDTH}}{text}" for name, text in about.items()),
        f"  {'inner':<{NAME_WIDTH}}seconds without start-up, as each says of itself",
        f"  {'MiB':<{NAME_WIDTH}}the most memory that all of its processes had together",
        f"  {'batch':<{NAME_WIDTH}}the plan's for mlserve, for the others the best of some tried",
    ]


def _table(model: ModelResult) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in ("seconds", "inner", "rows/s", "MiB", "batch", "× script", "of limit"):
        table.add_column(name, justify="right")
    for one in model.contenders:
        if one.is_compared:
            table.add_row(one.name, *cells(one, model))
    page = io.StringIO()
    Console(file=page, width=WIDTH, color_system=None, force_terminal=False).print(table)
    return [line.rstrip() for line in page.getvalue().splitlines() if line.strip()]


def cells(one: Measured, model: ModelResult) -> tuple[str, ...]:
    """What is known of a contender after its name, column by column."""
    ratios = model.ratios[one.name]
    return (
        f"{one.median_s:.2f}",
        f"{one.median_inner_s:.2f}",
        f"{model.rows / one.median_s:,.0f}",
        f"{one.peak_memory_bytes // MIB:,}",
        f"{one.batch_rows:,}" if one.batch_rows else "",
        f"{ratios['script']:.2f}" if "script" in ratios else "",
        f"{ratios['limit']:.0%}" if "limit" in ratios else "",
    )


def bench_facts(found: BenchResult) -> Facts:
    """Medians and ratios for machines; every round stands in --results."""
    return {
        "status": "measured",
        "exit_code": 0,
        "rounds": found.rounds,
        "cores": found.cores,
        "cpu": found.environment.cpu,
        "models": [_model_facts(model) for model in found.models],
    }


def _model_facts(model: ModelResult) -> Facts:
    return {
        "model": model.model,
        "digest": model.digest,
        "rows": model.rows,
        "contenders": {one.name: _contender_facts(one, model) for one in model.contenders},
    }


def _contender_facts(one: Measured, model: ModelResult) -> Facts:
    if one.trouble:
        return {"trouble": one.trouble, "difference": one.difference}
    ratios = model.ratios[one.name]
    return {
        "seconds": one.median_s,
        "seconds_without_start": one.median_inner_s,
        "rows_per_s": round(model.rows / one.median_s, 1),
        "peak_memory_bytes": one.peak_memory_bytes,
        "batch_rows": one.batch_rows,
        "predictor": one.predictor,
        "difference": one.difference,
        "times_as_fast_as_script": ratios.get("script"),
        "share_of_limit": ratios.get("limit"),
    }
