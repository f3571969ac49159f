"""What the project set out to reach, and what a measuring run reached of it.

python -m tests.benchmarks.goals        # from the figures that lie in docs/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from mlserve_cli.benchmark import ModelResult
from mlserve_cli.benchmark.picture import label
from tests.benchmarks.figures import MIB, Figures, Peers, read_figures, read_peers

TREES = ("xgb", "lgb", "rf")
PLAIN = "mlserve, plain"
OURS = ("mlserve", PLAIN)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio or an amount; `most` where less is better."""

    about: str
    least: float
    meant: float
    reached: Callable[[Figures, Peers | None], float | None]
    most: bool = False
    unit: str = ""

    def holds(self, value: float, *, at: float) -> bool:
        return value <= at if self.most else value >= at


def verdicts(figures: Figures, peers: Peers | None) -> Iterator[tuple[Goal, float | None, str]]:
    """Each goal, what was reached, and what that is: meant, at least, missed, or not measured."""
    for goal in GOALS:
        value = goal.reached(figures, peers)
        if value is None:
            yield goal, None, "not measured"
        elif goal.holds(value, at=goal.meant):
            yield goal, value, "as meant"
        else:
            yield goal, value, "reached" if goal.holds(value, at=goal.least) else "MISSED"


def table(figures: Figures, peers: Peers | None) -> list[str]:
    """The verdicts as a table of Markdown."""
    lines = ["| goal | at least | meant | measured | |", "|---|---|---|---|---|"]
    for goal, value, verdict in verdicts(figures, peers):
        bounds = [f"{'≤ ' if goal.most else ''}{bound:g}{goal.unit}" for bound in (goal.least, goal.meant)]
        shown = "" if value is None else f"{value:.2f}{goal.unit}" if abs(value) < 100 else f"{value:,.0f}{goal.unit}"
        lines.append(f"| {goal.about} | {bounds[0]} | {bounds[1]} | {shown} | {verdict} |")
    return lines


def peers_lines(peers: Peers) -> Iterator[str]:
    """How far mlserve is ahead of the engine that comes nearest, in time and in memory: under 1 it is behind."""
    for what in ("seconds", "memory"):
        ratios = {whose: theirs / ours for whose, ours, theirs in _beside_peers(peers, what)}
        if ratios:
            name, model = min(ratios, key=lambda whose: ratios[whose])
            yield f"{what}: at least {ratios[name, model]:.2f} times mlserve's ({name} on {model} comes nearest)"


# How each is found in the figures


def _model(figures: Figures, name: str) -> ModelResult | None:
    return next((model for model in figures.bench.models if label(model) == name), None)


def _times(figures: Figures, name: str, ours: str, *others: str) -> float | None:
    """How many times as fast as the fastest of the others."""
    model = _model(figures, name)
    mine = model.contender(ours) if model else None
    theirs = [found for other in others if model and (found := model.contender(other))]
    return min(one.median_s for one in theirs) / mine.median_s if mine and theirs else None


def against_script(name: str) -> Callable[[Figures, Peers | None], float | None]:
    return lambda figures, _peers: _times(figures, name, "mlserve", "script")


def against_onnxruntime(name: str) -> Callable[[Figures, Peers | None], float | None]:
    """Against whoever is fastest with ONNX Runtime, mlserve itself among them."""
    return lambda figures, _peers: _times(figures, name, "mlserve", "script", PLAIN)


def plain_against_script(figures: Figures, _peers: Peers | None) -> float | None:
    """The worst of the models of trees."""
    found = [_times(figures, name, PLAIN, "script") for name in TREES]
    return _least(found)


def share_of_limit(name: str) -> Callable[[Figures, Peers | None], float | None]:
    return lambda figures, _peers: _times(figures, name, "mlserve", "back to back")


def kernel_against_onedal(figures: Figures, _peers: Peers | None) -> float | None:
    """The worst of the models of trees."""
    rates = [one.rows_per_s for one in figures.kernel]
    return _least([each["the kernel"] / each["oneDAL"] for each in rates if {"the kernel", "oneDAL"} <= each.keys()])


def faster_than_each_peer(_figures: Figures, peers: Peers | None) -> float | None:
    return _least([theirs / ours for _, ours, theirs in _beside_peers(peers, "seconds")])


def less_memory_than_each_peer(_figures: Figures, peers: Peers | None) -> float | None:
    return _least([theirs / ours for _, ours, theirs in _beside_peers(peers, "memory")])


def _beside_peers(peers: Peers | None, what: str) -> Iterator[tuple[tuple[str, str], float, float]]:
    """Each engine and model that gave the right scores, with mlserve's amount and its own."""
    found = [one for one in peers.peers if one.seconds and not one.trouble] if peers else []
    amounts = {
        (one.name, one.model): median(one.seconds) if what == "seconds" else float(one.peak_memory_bytes)
        for one in found
    }
    for (name, model), theirs in amounts.items():
        if name not in OURS and ("mlserve", model) in amounts:
            yield (name, model), amounts["mlserve", model], theirs


def most_memory(figures: Figures, _peers: Peers | None) -> float | None:
    return max((one.peak_memory_bytes / MIB for one in figures.memory if one.workers == "2"), default=None)


def growth_of_memory(figures: Figures, _peers: Peers | None) -> float | None:
    """In percent, from the fewest rows to the most on two workers, of the model where it is worst: where nothing is
    said, few rows stay in one process, and many do not."""
    found = []
    for model in {one.model for one in figures.memory}:
        runs = sorted((o for o in figures.memory if (o.model, o.workers) == (model, "2")), key=lambda o: o.rows)
        if len(runs) > 1:
            found.append((runs[-1].peak_memory_bytes / runs[0].peak_memory_bytes - 1) * 100)
    return max(found, default=None)


def startup(name: str) -> Callable[[Figures, Peers | None], float | None]:
    def ratio(figures: Figures, _peers: Peers | None) -> float | None:
        return next((one.seconds / one.peer_seconds for one in figures.startup if one.name == name), None)

    return ratio


def _least(found: list[float | None] | list[float]) -> float | None:
    return min((each for each in found if each is not None), default=None)


HELP, SMALL = "--help", "score, 1,000 rows of CSV"
GOALS = (
    Goal("lr against the tuned script", 1.0, 1.1, against_script("lr")),
    Goal("mlp against the tuned script", 1.25, 1.4, against_script("mlp")),
    Goal("xgb against the best that uses ONNX Runtime", 2.5, 4, against_onnxruntime("xgb")),
    Goal("lgb against the best that uses ONNX Runtime", 1.7, 3, against_onnxruntime("lgb")),
    Goal("rf against the best that uses ONNX Runtime", 2.5, 6, against_onnxruntime("rf")),
    Goal("trees with `--predictor onnxruntime` against the script", 1.0, 1.2, plain_against_script),
    *(
        Goal(f"{name}: share of the back-to-back limit", 0.85, 0.95, share_of_limit(name))
        for name in ("lr", "mlp", *TREES)
    ),
    Goal("the kernel for trees against oneDAL, one thread", 0.7, 1.0, kernel_against_onedal),
    Goal("times as fast as the fastest engine of `nox -s peers`", 1.0, 1.0, faster_than_each_peer),
    Goal("the least memory among them, times mlserve's", 1.0, 1.0, less_memory_than_each_peer),
    Goal("peak memory with two workers", 500, 500, most_memory, most=True, unit=" MiB"),
    Goal("its growth from the fewest to the most rows", 10, 10, growth_of_memory, most=True, unit=" %"),
    Goal("1,000 rows of CSV against a bare script", 1.6, 1.3, startup(SMALL), most=True),
    Goal("`--help` against importing Typer", 2.5, 2.0, startup(HELP), most=True),
)


if __name__ == "__main__":
    kept = read_figures()
    print("\n".join(table(kept, read_peers())) if kept else "nothing is measured yet: nox -s bench")
