"""Everything that is measured, in one go: figures to docs/, the goals and what was reached of them to the terminal.

    nox -s bench                                        # makes the environment, then this
    python -m tests.benchmarks.run --models rf --again  # one model anew, where the figures of all stand
    python -m tests.benchmarks.run --rows 200000 --most-rows 400000 --rounds 2 --models lr lgb --docs /tmp/docs

Takes half an hour with 4 million rows, most of it in the scripts that mlserve is measured against. The machine should
have nothing else to do.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import structs

from mlserve_cli import BenchResult, ScoreRequest, bench
from mlserve_cli.benchmark import Step, draw
from mlserve_cli.benchmark.picture import label
from mlserve_cli.scoring.machine import cpu_model, usable_cores
from tests.benchmarks import goals, int8, made, memory, onedal, page, startup
from tests.benchmarks.figures import DOCS, Figures, Peak, read_figures, read_peers, write

MODELS = ("lr", "mlp", "xgb", "lgb", "rf")
INT8 = ("mlp", "mlp-int8-static", "mlp-int8-dynamic")
MOST_ROWS, TIMES_AS_MANY = 16_000_000, 16


def main() -> None:
    """Make, measure, write, print."""
    args = _arguments()
    models = made.models(args.data, [*dict.fromkeys([*args.models, *INT8])])
    rows = made.rows(args.data, args.rows)
    stages = _again if args.again else _stages
    for figures in stages(models, rows, args):  # kept as they come: half an hour must not be lost for its end
        write(figures, args.docs)
        (args.docs / "benchmark.svg").write_text(draw(figures.bench), encoding="utf-8")
        page.write(args.docs)
    print("\n".join(goals.table(figures, read_peers(args.docs))))


def _stages(models: Path, rows: Path, args: argparse.Namespace) -> Iterator[Figures]:
    """The figures so far, after each kind of measuring."""
    figures = Figures(datetime.now(UTC).isoformat(timespec="minutes"), _bench(models, rows, args))
    yield figures
    figures = structs.replace(figures, startup=tuple(startup.measure(rows=1_000, repeats=args.rounds + 4)))
    yield figures
    figures = structs.replace(figures, int8=tuple(int8.measure(models, rows, rounds=args.rounds)))
    yield figures
    kernel = onedal.measure(models, args.models, python=args.onedal, rounds=args.rounds)
    figures = structs.replace(figures, kernel=tuple(kernel))
    yield figures
    yield structs.replace(figures, memory=tuple(_memory(models, args)))


def _again(models: Path, rows: Path, args: argparse.Namespace) -> Iterator[Figures]:
    """The figures that stand, with whole processes of these models measured anew."""
    standing = read_figures(args.docs)
    here = (args.rounds, usable_cores(), cpu_model()[0])
    if standing is None or here != (standing.bench.rounds, standing.bench.cores, standing.bench.environment.cpu):
        raise SystemExit(f"{args.docs} has no figures of this machine and of as many rounds: leave --again out")
    found = {model.model: model for model in _bench(models, rows, args).models}
    kept = tuple(found.get(model.model, model) for model in standing.bench.models)
    yield structs.replace(standing, bench=structs.replace(standing.bench, models=kept))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--most-rows", type=int, default=MOST_ROWS, help="for the memory that must not grow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--again", action="store_true", help="whole processes of these models; all else stays as it is")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where figures, picture and table go")
    parser.add_argument("--onedal", type=Path, help="a Python with tests/benchmarks/onedal-requirements.txt")
    made.add_arguments(parser)
    return parser.parse_args()


def _bench(models: Path, rows: Path, args: argparse.Namespace) -> BenchResult:
    requests = [ScoreRequest(str(models / f"{name}.onnx"), (str(rows),), "", id_column="id") for name in args.models]
    found = bench(*requests, rounds=args.rounds, observer=_say)
    named = tuple(structs.replace(model, model=label(model)) for model in found.models)  # no folder of this machine
    return structs.replace(found, models=named)


def _memory(models: Path, args: argparse.Namespace) -> Iterator[Peak]:
    """Few and many rows, in this process's threads or whatever is chosen, and on two workers."""
    for count in (args.most_rows // TIMES_AS_MANY, args.most_rows):
        data = made.rows(args.data, count)
        for name in args.models:
            for peak in memory.measure(models / f"{name}.onnx", data, count, "auto", "2"):
                print(memory.line(peak), flush=True)
                yield peak


def _say(step: Step) -> None:
    print(f"{Path(step.model).stem}, round {step.round} of {step.rounds}: {step.contender}", flush=True)


if __name__ == "__main__":
    main()
