"""The results as a picture: for each model a bar for each contender, as long as its whole process took. SVG."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import PurePath

from mlserve_cli.benchmark.results import BenchResult, Measured, ModelResult

WIDTH, LABEL, VALUE = 760, 130, 190
ROW, BAR, GAP, TOP = 22, 15, 34, 44
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .model { font-weight: 600 }
  .quiet { fill: #59636e }
  .mlserve { fill: #1f6feb } .peer { fill: #bc4c00 } .limit { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #9198a1 }
    .mlserve { fill: #4493f8 } .peer { fill: #f0883e } .limit { fill: #6e7681 }
  }
"""


def draw(result: BenchResult) -> str:
    """The whole picture; it needs no font and nothing else from outside."""
    shown = [model for model in result.models if any(one.is_compared for one in model.contenders)]
    parts = list(_parts(result, shown))
    height = TOP + sum(GAP + ROW * len(_bars(model)) for model in shown) + 16
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"'
    title = "Seconds of whole processes, medians; shorter is faster"
    return "\n".join([f'{head} aria-label="{title}">', f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _parts(result: BenchResult, models: list[ModelResult]) -> Iterator[str]:
    where = f"{result.environment.cpu}, {result.cores} cores; medians of {result.rounds}"
    yield '<text class="title" x="8" y="20">Seconds of whole processes, start-up included</text>'
    yield f'<text class="quiet" x="{WIDTH - 8}" y="20" text-anchor="end">{escape(where)}</text>'
    y = TOP
    for model in models:
        name = f"{label(model)}: {model.rows:,} rows × {model.columns} columns"
        yield f'<text class="model" x="8" y="{y + 10}">{escape(name)}</text>'
        y += GAP - 14
        bars = _bars(model)
        longest = max(one.median_s for one in bars)
        for one in bars:
            yield from _bar(one, model, y=y, longest_s=longest)
            y += ROW
        y += 14


def _bars(model: ModelResult) -> list[Measured]:
    return [one for one in model.contenders if one.is_compared]


def _bar(one: Measured, model: ModelResult, *, y: int, longest_s: float) -> Iterator[str]:
    length = max((WIDTH - LABEL - VALUE) * one.median_s / longest_s, 1)
    ratio = model.ratios[one.name].get("script")
    faster = f" · {ratio:.2f} × script" if ratio and one.kind == "mlserve" else ""
    yield f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(one.name)}</text>'
    yield f'<rect class="{one.kind}" x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>'
    yield f'<text x="{LABEL + length + 8:.1f}" y="{y + 12}">{one.median_s:.2f} s{faster}</text>'


def label(model: ModelResult) -> str:
    """What a model is called: its file without the ending, its package's folder, its name in the registry."""
    return PurePath(model.model).name.removesuffix(".onnx") or model.model
