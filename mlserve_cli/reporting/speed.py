"""How fast it went: seconds of each stage, what each worker did when, memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlserve_cli.manifest import Manifest, Stages, TimeLine
from mlserve_cli.reporting.blocks import Column, Fact, Table, number, table
from mlserve_cli.reporting.shapes import Tick, round_ticks
from mlserve_cli.reporting.wording import count, duration, share, size

STAGES = ("read", "features", "inference", "write", "profile")
BLOCKS_DRAWN = 1_200  # more are no wider than a line, and the page would grow with the run
FINEST = 0.05  # of a hundredth of the picture: what is narrower cannot be seen


@dataclass(frozen=True, slots=True)
class StagePart:
    """One stage's share of the work: where its bar starts and how long it is, in hundredths."""

    name: str
    x: float
    width: float
    seconds: str
    share: str
    speed: str


@dataclass(frozen=True, slots=True)
class Block:
    """Tasks of a lane that follow each other: the stages' parts as (name, x, width); what they are in words."""

    parts: tuple[tuple[str, float, float], ...]
    text: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One worker, or one of its threads."""

    label: str
    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Lanes:
    """The time line: lanes over seconds."""

    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Speed:
    """All that the page says of speed."""

    facts: tuple[Fact, ...]
    stages: tuple[StagePart, ...]
    lanes: Lanes | None
    workers: Table


def speed_of(manifest: Manifest) -> Speed:
    """From the manifest's throughput."""
    return Speed(tuple(_facts(manifest)), tuple(_stages(manifest)), lanes_of(manifest), _workers(manifest))


def _facts(manifest: Manifest) -> Iterator[Fact]:
    speed, found = manifest.throughput, manifest.deduplication
    expected = f"{duration(speed.estimated_seconds)} were expected" if speed.estimated_seconds is not None else ""
    yield Fact("Time", tuple(filter(None, (duration(manifest.run.seconds), expected))))
    yield Fact("Rows per second", (f"{speed.rows_per_s:,.0f}",))
    memory = f"{size(speed.estimated_peak_memory_bytes)} were expected"
    yield Fact("Memory at most", (size(speed.peak_memory_bytes), memory))
    if speed.batch_p50_s:
        slow = f"95 % within {duration(speed.batch_p95_s)}, 99 % within {duration(speed.batch_p99_s)}"
        rows = count(manifest.plan.batch_rows, "row")
        yield Fact(f"A batch of {rows}", (f"{duration(speed.batch_p50_s)} (median)", slow))
    if found.window_rows and found.scored_rows:
        many = f"{count(found.scored_rows)} of {count(found.rows)} went through the model"
        yield Fact("Rows with the same features", (many, "each was scored once"))


def _stages(manifest: Manifest) -> Iterator[StagePart]:
    """Each stage's share of the seconds that all workers spent, one after another."""
    spent = _by_name(manifest.throughput.stages)
    total, x = sum(spent.values()), 0.0
    for name, seconds in spent.items():
        if name == "profile" and not seconds:
            continue
        width = 100 * seconds / total if total else 0.0
        rate = manifest.throughput.stage_rows_per_s.get(name)
        speed = f"{rate:,.0f}" if rate else "–"
        yield StagePart(name, round(x, 3), round(width, 3), duration(seconds), share(seconds, of=total), speed)
        x += width


def _by_name(stages: Stages) -> dict[str, float]:
    return {name: getattr(stages, f"{name}_s") for name in STAGES}


def _workers(manifest: Manifest) -> Table:
    rows = [
        [str(one.pid), count(one.tasks), share(one.busy_share), size(one.peak_memory_bytes)]
        for one in manifest.throughput.workers
    ]
    columns = [Column("process", "code"), number("tasks"), number("busy"), number("memory at most")]
    return table("What each worker process did", columns, rows)


# The time line


def lanes_of(manifest: Manifest) -> Lanes | None:
    """Who worked on what and when; None for manifests that do not say it."""
    line = manifest.throughput.time_line
    if line is None or not line.task:
        return None
    end = max(start + seconds for start, seconds in zip(line.start_s, line.seconds, strict=True))
    span = max(manifest.run.seconds, end, 1e-6)
    lanes = list(_by_lane(line))
    finest = max(FINEST, 100 * len(lanes) / BLOCKS_DRAWN)
    drawn = tuple(
        Lane(label, _busy(line, places, span), tuple(_blocks(line, places, span, finest=finest)))
        for label, places in lanes
    )
    busy = sum(line.seconds)
    text = (
        f"{count(len(line.task), 'task')} on {count(len(lanes), 'lane')} in {duration(span)}: "
        f"at work {share(busy, of=len(lanes) * span)} of the time."
    )
    return Lanes(drawn, round_ticks(0.0, span, said=lambda value: f"{value:g} s"), text)


def _by_lane(line: TimeLine) -> Iterator[tuple[str, list[int]]]:
    """Places in the time line by lane: a process whose tasks overlap works on threads, and gets a lane for each."""
    workers = list(dict.fromkeys(line.worker))
    for worker in workers:
        lanes: list[list[int]] = []
        for place in (i for i, found in enumerate(line.worker) if found == worker):
            free = (lane for lane in lanes if _end(line, lane[-1]) <= line.start_s[place] + 1e-4)
            lane = next(free, None)
            if lane is None:
                lanes.append([place])
            else:
                lane.append(place)
        for number_, lane in enumerate(lanes, start=1):
            yield (f"{worker}" if len(lanes) == 1 else f"{worker} · {number_}"), lane


def _busy(line: TimeLine, places: Sequence[int], span: float) -> str:
    return f"{count(len(places), 'task')}, at work {share(sum(line.seconds[i] for i in places), of=span)} of the time"


def _blocks(line: TimeLine, places: Sequence[int], span: float, *, finest: float) -> Iterator[Block]:
    """A lane's tasks, those that stand closer together than can be seen drawn as one."""
    group: list[int] = []
    for place in places:
        if group and 100 * (_end(line, place) - line.start_s[group[0]]) / span > finest:
            yield _block(line, group, span)
            group = []
        group.append(place)
    yield _block(line, group, span)


def _block(line: TimeLine, group: Sequence[int], span: float) -> Block:
    """Stages in proportion, in the order in which rows pass through them (within a task they take turns)."""
    start, end = line.start_s[group[0]], _end(line, group[-1])
    columns = (line.read_s, line.features_s, line.inference_s, line.write_s, line.profile_s)
    spent = {name: sum(column[i] for i in group) for name, column in zip(STAGES, columns, strict=True)}
    whole = max(end - start, sum(spent.values()), 1e-9)
    parts, x = [], 100 * start / span
    for name, seconds in (*spent.items(), ("other", whole - sum(spent.values()))):
        width = 100 * (end - start) / span * seconds / whole
        if width > 0:
            parts.append((name, round(x, 3), round(width, 3)))
        x += width
    what = f"task {line.task[group[0]]}" if len(group) == 1 else count(len(group), "task")
    return Block(tuple(parts), f"{what}, {duration(end - start)} from {duration(max(start, 0))}")


def _end(line: TimeLine, place: int) -> float:
    return line.start_s[place] + line.seconds[place]
