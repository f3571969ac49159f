"""An ensemble laid out for the kernel: tops of trees as lists of byte operations, what lies below as records.

The top of a tree, all of it where it is not large, is evaluated from the bottom up and without a branch: each node
chooses between the exit numbers that its children gave, for a block of rows at once, in registers. Nothing is searched
or gathered, so that 63 branches cost some 3 processor cycles a row, less than a walk down the tree. Below that a tree
is walked row by row, children side by side, `child + (code > cut)`, and a leaf leads to itself.

Trees stay in their order, and so do the sums.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.session.trees._codes import Coded, Splits, encode, split
from mlserve_cli.session.trees._ensemble import Ensemble, Flags, Ints, Reals, Unsupported, distinct

TOP_NODES = 127  # a tree with no more branches than this is evaluated whole
TOP_OF_LARGER = 63
EXITS = 128  # rows of exit numbers; the rows of results come after them
RESULTS = 64


class Layout(msgspec.Struct, frozen=True):
    """What the kernel reads.

    `trees` int64 [trees, 7]: first operation, the one after the last, row of the result, first record, steps to walk,
    first plane, the one after the last. `operations` int16 [branches of tops, 5]: column, cut, row for low, row for
    high, row to write. `records` int64: column << column_shift << 48 | child << 16 | cut. `planes` int64 [planes, 2]:
    target, and where its value for each record begins in `values`, with `fill` where a leaf says nothing of the target.
    """

    coded: Coded
    trees: Ints
    operations: NDArray[np.int16]
    records: Ints
    column_shift: int
    planes: Ints
    values: Reals
    targets: int
    fill: float


def lay_out(ensemble: Ensemble) -> Layout:
    """The layout of an ensemble. Raises Unsupported where it does not fit."""
    shape = _shape_of(ensemble)
    splits = split(ensemble, reached=shape.reached)
    coded = encode(splits)
    top = _choose_tops(ensemble, shape)
    exits = _number_exits(ensemble, shape, top)
    slots = _give_slots(ensemble, shape, top)
    rows = np.where(top, EXITS + slots, exits)
    operations, operation_starts = _operations(shape, splits, coded, top, rows)
    shift = _column_shift(coded)
    records, positions, record_starts, steps = _records(ensemble, shape, splits, coded, top, exits, shift)
    planes, values, plane_starts = _planes(ensemble, shape, positions, record_starts)
    return Layout(
        coded=coded,
        trees=np.stack(
            [
                operation_starts[:-1],
                operation_starts[1:],
                rows[ensemble.roots],
                record_starts[:-1],
                steps,
                plane_starts[:-1],
                plane_starts[1:],
            ],
            axis=1,
        ).astype(np.int64),
        operations=operations,
        records=records,
        column_shift=shift,
        planes=planes,
        values=values,
        targets=ensemble.targets,
        fill=FILL.get(ensemble.aggregate, 0.0),
    )


FILL = {"MIN": np.inf, "MAX": -np.inf}


class _Shape(msgspec.Struct, frozen=True):
    """Where each node stands: tree (-1: in none), depth, parent (-1: root), leaves under it; and the nodes by level."""

    levels: list[Ints]
    tree: Ints
    depth: Ints
    parent: Ints
    leaves: Ints
    trees: int

    @property
    def reached(self) -> Flags:
        return self.tree >= 0


def _shape_of(ensemble: Ensemble) -> _Shape:
    count = len(ensemble.is_leaf)
    tree, parent = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
    depth = np.zeros(count, np.int64)
    levels: list[Ints] = []
    level, trees = ensemble.roots, np.arange(len(ensemble.roots))
    while len(level):
        if np.any(tree[level] >= 0) or len(distinct(level)) < len(level):
            raise Unsupported("two branches lead to one node")
        tree[level], depth[level] = trees, len(levels)
        levels.append(level)
        inner = ~ensemble.is_leaf[level]
        parents, trees = level[inner], np.tile(trees[inner], 2)
        level = np.concatenate([ensemble.true[parents], ensemble.false[parents]])
        parent[level] = np.tile(parents, 2)
    leaves = ensemble.is_leaf.astype(np.int64)
    for level in reversed(levels):
        parents = level[~ensemble.is_leaf[level]]
        leaves[parents] = leaves[ensemble.true[parents]] + leaves[ensemble.false[parents]]
    return _Shape(levels, tree, depth, parent, leaves, len(ensemble.roots))


def _choose_tops(ensemble: Ensemble, shape: _Shape) -> Flags:
    """Which branches are evaluated rather than walked: of a large tree those with the most leaves under them.

    A parent has more leaves than its child, so that what is chosen hangs together.
    """
    inner = np.flatnonzero(shape.reached & ~ensemble.is_leaf)
    order = inner[np.lexsort((-shape.leaves[inner], shape.tree[inner]))]
    number, counts = _number_within(shape.tree[order], shape.trees)
    most = np.where(counts <= TOP_NODES, TOP_NODES, TOP_OF_LARGER)
    top = np.zeros(len(ensemble.is_leaf), np.bool_)
    top[order[number < most[shape.tree[order]]]] = True
    return top


def _number_exits(ensemble: Ensemble, shape: _Shape, top: Flags) -> Ints:
    """For each node right below a top, its number among those of its tree."""
    below_top = np.where(shape.parent >= 0, top[shape.parent], True)
    exits = np.flatnonzero(shape.reached & ~top & below_top)
    exits = exits[np.argsort(shape.tree[exits], kind="stable")]
    numbers = np.full(len(ensemble.is_leaf), -1, np.int64)
    numbers[exits] = _number_within(shape.tree[exits], shape.trees)[0]
    return numbers


def _give_slots(ensemble: Ensemble, shape: _Shape, top: Flags) -> Ints:
    """The row for each top branch's result: a parent writes over what one of its children gave."""
    low_top, high_top = (top & top[children] for children in (ensemble.true, ensemble.false))
    lowest = np.flatnonzero(top & ~low_top & ~high_top)
    lowest = lowest[np.argsort(shape.tree[lowest], kind="stable")]
    slots = np.zeros(len(top), np.int64)
    slots[lowest] = _number_within(shape.tree[lowest], shape.trees)[0]
    for level in reversed(shape.levels):
        parents = level[low_top[level] | high_top[level]]
        slots[parents] = slots[np.where(low_top[parents], ensemble.true[parents], ensemble.false[parents])]
    return slots


def _operations(shape: _Shape, splits: Splits, coded: Coded, top: Flags, rows: Ints) -> tuple[NDArray[np.int16], Ints]:
    """The operations of all trees, deepest first, and where each tree's begin."""
    chosen = np.flatnonzero(top[splits.node])
    node = splits.node[chosen]
    chosen = chosen[np.lexsort((-shape.depth[node], shape.tree[node]))]
    node = splits.node[chosen]
    columns = [coded.column[chosen], coded.cut[chosen], rows[splits.low[chosen]], rows[splits.high[chosen]], rows[node]]
    starts = np.searchsorted(shape.tree[node], np.arange(shape.trees + 1))
    return np.stack(columns, axis=1).astype(np.int16), starts


def _column_shift(coded: Coded) -> int:
    """How far a record's column is shifted: times 8, which the processor does by itself, it is then an address."""
    return 0 if len(coded.columns) > 1 << 11 else 4 if coded.codes.dtype == np.int8 else 5


def _records(
    ensemble: Ensemble, shape: _Shape, splits: Splits, coded: Coded, top: Flags, exits: Ints, shift: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Records, each node's position among those of its tree, where each tree's begin, and its steps to walk."""
    count = np.bincount(shape.tree[exits >= 0], minlength=shape.trees)
    walked = np.flatnonzero(~top[splits.node])
    node = splits.node[walked]
    walked = walked[np.lexsort((shape.depth[node], shape.tree[node]))]
    node = splits.node[walked]
    pair, pairs = _number_within(shape.tree[node], shape.trees)
    child = count[shape.tree[node]] + 2 * pair
    positions = exits.copy()
    positions[splits.low[walked]], positions[splits.high[walked]] = child, child + 1
    starts = np.concatenate([[0], np.cumsum(count + 2 * pairs)])
    leaf = np.flatnonzero(ensemble.is_leaf & shape.reached)
    records = np.zeros(starts[-1], np.int64)
    most = np.iinfo(coded.codes.dtype).max
    records[starts[shape.tree[leaf]] + positions[leaf]] = positions[leaf] << 16 | most
    records[starts[shape.tree[node]] + positions[node]] = (
        coded.column[walked] << shift << 48 | child << 16 | (coded.cut[walked] & 0xFFFF)
    )
    return records, positions, starts, _steps(shape, node)


def _steps(shape: _Shape, walked: Ints) -> Ints:
    """How many branches each tree has below its top, on the longest way."""
    below = np.zeros(len(shape.tree), np.int64)
    below[walked] = 1
    for level in shape.levels[1:]:
        below[level] += np.where(below[level] > 0, below[shape.parent[level]], 0)
    steps = np.zeros(shape.trees, np.int64)
    np.maximum.at(steps, shape.tree[walked], below[walked])
    return steps


def _planes(ensemble: Ensemble, shape: _Shape, positions: Ints, starts: Ints) -> tuple[Ints, Reals, Ints]:
    """One plane for each target that a tree's leaves weigh, a value for each of the tree's records."""
    used = np.flatnonzero(shape.reached[ensemble.weight_leaf])
    leaf, target = ensemble.weight_leaf[used], ensemble.weight_target[used]
    keys, plane = np.unique(shape.tree[leaf] * ensemble.targets + target, return_inverse=True)
    tree = keys // ensemble.targets
    sizes = np.diff(starts)[tree]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    fill = FILL.get(ensemble.aggregate, 0.0)
    values = np.full(offsets[-1], fill, ensemble.weight_value.dtype)
    values[offsets[plane] + positions[leaf]] = ensemble.weight_value[used]
    planes = np.stack([keys % ensemble.targets, offsets[:-1]], axis=1).astype(np.int64)
    return planes, values, np.searchsorted(tree, np.arange(shape.trees + 1))


def _number_within(group: Ints, groups: int) -> tuple[Ints, Ints]:
    """Number the members of each group, which come sorted by group, from 0; and how many each group has."""
    counts = np.bincount(group, minlength=groups)
    starts = np.cumsum(counts) - counts
    return np.arange(len(group)) - starts[group], counts
