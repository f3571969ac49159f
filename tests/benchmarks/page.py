"""The results page's tables, from the figures that lie in docs/.

python -m tests.benchmarks.page        # writes docs/benchmark-results.md anew
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from mlserve_cli.benchmark import Measured, ModelResult
from mlserve_cli.benchmark.picture import label
from mlserve_cli.cli.bench_table import cells
from mlserve_cli.cli.summary import count_text
from tests.benchmarks import goals
from tests.benchmarks.figures import DOCS, MIB, Figures, Peer, Peers, read_figures, read_peers

RESULTS = "benchmark-results.md"


def write(docs: Path) -> None:
    """What docs/benchmark.md includes."""
    figures, peers = read_figures(docs), read_peers(docs)
    if figures is not None:
        (docs / RESULTS).write_text("\n".join(_page(figures, peers)) + "\n", encoding="utf-8")


def _page(figures: Figures, peers: Peers | None) -> Iterator[str]:
    where = figures.bench.environment
    yield f"Measured {figures.measured_at} on {where.cpu} with {figures.bench.cores} cores"
    yield f"({', '.join(where.cpu_flags)}), Python {where.python}, onnxruntime {where.onnxruntime},"
    yield f"pyarrow {where.pyarrow}, polars {figures.bench.polars}, mlserve {where.mlserve}; medians of"
    yield f"{count_text(figures.bench.rounds, 'round')} in turns.\n"
    yield "![Seconds of whole processes](benchmark.svg)\n"
    yield "### Whole processes\n"
    for model in figures.bench.models:
        yield f"**{label(model)}**: {model.rows:,} rows × {model.columns} columns\n"
        yield from _table(model)
    for head, rows, section in (
        ("INT8 beside FP32", figures.int8, _int8),
        ("Memory", figures.memory, _memory),
        ("Start-up", figures.startup, _startup),
        ("The kernel for trees, one thread", figures.kernel, _kernel),
    ):
        if rows:
            yield f"### {head}\n"
            yield from section(figures)
    yield "### Other engines\n"
    yield from peers_table(peers)
    yield "### The goals\n"
    yield from goals.table(figures, peers)


def _table(model: ModelResult) -> Iterator[str]:
    yield "| | seconds | without start-up | rows/s | MiB | batch | × script | of the limit |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in model.contenders:
        yield f"| {one.name} | {' | '.join(_cells(one, model))} |"
    yield ""


def _cells(one: Measured, model: ModelResult) -> list[str]:
    if one.trouble:
        return [f"not compared: {one.trouble}", *[""] * 6]
    return [*cells(one, model)]


def _int8(figures: Figures) -> Iterator[str]:
    yield "| | whole process, × FP32 | model alone, × FP32 | largest difference | mean difference | labels that flip |"
    yield "|---|---|---|---|---|---|"
    for one in figures.int8:
        whole, alone = one.fp32_seconds / one.seconds, one.inference_rows_per_s / one.fp32_inference_rows_per_s
        yield (
            f"| {one.name} | {whole:.2f} | {alone:.2f} | {one.largest_difference:.4f} | {one.mean_difference:.5f} "
            f"| {one.label_flips:.2%} |"
        )
    yield ""
    for one in figures.int8:
        yield f"In `{one.name}` a row's score moves by up to {one.moved_by_batch:.2g} with the size of its batch.\n"


def _memory(figures: Figures) -> Iterator[str]:
    yield "| model | workers | rows | seconds | peak MiB | estimated MiB |\n|---|---|---|---|---|---|"
    for one in sorted(figures.memory, key=lambda each: (each.model, each.workers, each.rows)):
        peak, estimated = one.peak_memory_bytes / MIB, one.estimated_bytes / MIB
        yield f"| {one.model} | {one.workers} | {one.rows:,} | {one.seconds:.2f} | {peak:.0f} | {estimated:.0f} |"
    yield ""


def _startup(figures: Figures) -> Iterator[str]:
    yield "| | seconds | beside | seconds | ratio |\n|---|---|---|---|---|"
    for one in figures.startup:
        ratio = one.seconds / one.peer_seconds
        yield f"| {one.name} | {one.seconds:.3f} | {one.peer} | {one.peer_seconds:.3f} | {ratio:.2f} |"
    yield ""


def _kernel(figures: Figures) -> Iterator[str]:
    names = list(dict.fromkeys(name for one in figures.kernel for name in one.rows_per_s))
    yield f"| thousand rows/s | {' | '.join(names)} |"
    yield "|---|" + "---|" * len(names)
    for one in figures.kernel:
        cells = [f"{one.rows_per_s[name] / 1e3:,.0f}" if name in one.rows_per_s else "" for name in names]
        yield f"| {one.name} | {' | '.join(cells)} |"
    yield ""


def peers_table(peers: Peers | None) -> Iterator[str]:
    """What `nox -s peers` measured."""
    if peers is None:
        yield "Not measured yet: `nox -s peers`.\n"
        return
    models = list(dict.fromkeys(one.model for one in peers.peers))
    yield f"Measured {peers.measured_at} on {peers.cpu} with {peers.cores} cores: {peers.rows:,} rows, medians of"
    yield f"{count_text(peers.rounds, 'round')} in turns: seconds of the whole process · peak MiB of all processes.\n"
    yield f"| | {' | '.join(models)} |"
    yield "|---|" + "---|" * len(models)
    cells = {(one.name, one.model): _peer(one) for one in peers.peers}
    for name, version in dict.fromkeys((one.name, one.version) for one in _in_order(peers.peers)):
        yield f"| {name} {version} | {' | '.join(cells.get((name, model), '') for model in models)} |"
    yield ""
    yield "`mlserve, plain` is mlserve with ONNX Runtime for trees too, as all the others have it.\n"


def _in_order(peers: Sequence[Peer]) -> list[Peer]:
    """mlserve first, in both its kinds."""
    return sorted(peers, key=lambda one: (one.name not in goals.OURS, len(one.name) if one.name in goals.OURS else 0))


def _peer(one: Peer) -> str:
    if one.trouble or not one.seconds:
        return one.trouble.replace("|", "\\|")
    return f"{median(one.seconds):.2f} · {one.peak_memory_bytes // MIB:,}"


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else DOCS)
