"""The kernel: machine code for this processor, made once per process in some hundredths of a second.

Rows pass in blocks of 128, the blocks of a group through one tree after another, so that a tree's operations and
records stay in the cache. Written for LLVM rather than in numba, which compiles to the same: numba's import and
compilation take over a second in every process, it would have to keep compiled code on disk, and its bounds on numpy
would be ours.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numpy.typing import NDArray

from mlserve_cli.session.trees._codes import Coded
from mlserve_cli.session.trees._ir import BYTES, F32, F64, I8, I16, I32, I64, POINTER, Array, Function, Number
from mlserve_cli.session.trees._layout import EXITS, RESULTS, Layout

TOGETHER = 32  # rows that are compared with a feature's pivots at once: they stay in registers
BLOCK = 128  # rows; four registers of bytes with AVX2
GROUP_BYTES = 96 << 10  # of codes of a group of blocks: what stays in the second-level cache beside the trees
MOST_BLOCKS = 16

PIVOTS = 31  # thresholds that a feature's values are all compared with first
FEATURE = 6  # numbers for each feature, see _searched

Compiled = Callable[[int, int, int, int, int, int], None]


class Kernel:
    """The sums of one layout's trees, for any rows. Threads may share it; it lets go of the interpreter's lock."""

    __slots__ = ("_addresses", "_blocks", "_compiled", "_dtype", "_keep", "_scratch_bytes", "_targets")

    def __init__(self, layout: Layout) -> None:
        self._keep = tuple(np.ascontiguousarray(array) for array in _arrays(layout))
        self._dtype, self._targets = layout.values.dtype, layout.targets
        narrow = layout.coded.codes.dtype == np.int8
        code_bytes = len(layout.coded.columns) * BLOCK * (1 if narrow else 2)
        self._blocks = max(min(GROUP_BYTES // max(code_bytes, 1), MOST_BLOCKS), 1)
        sizes = [
            (EXITS + RESULTS) * BLOCK,
            BLOCK * 4,
            BLOCK * 4,
            BLOCK * 8,
            self._blocks * code_bytes,
            self._blocks * BLOCK * layout.targets * 8,
        ]
        starts = [0, *(int(size) for size in np.cumsum(sizes))]
        self._scratch_bytes = starts[-1]
        numbers = [
            len(layout.coded.features),
            len(layout.coded.columns),
            len(layout.trees),
            layout.targets,
            self._blocks,
        ]
        pointers = [array.ctypes.data for array in self._keep]
        self._addresses = np.array([*pointers, *numbers, *starts[:-1]], np.int64)
        self._compiled = compiled(
            double=self._dtype == np.float64, narrow=narrow, column_shift=layout.column_shift, fill=layout.fill
        )

    def sums(self, rows: NDArray[Any]) -> NDArray[Any]:
        """What the trees give together, [rows, targets]; `rows` is C-contiguous and of the ensemble's own type."""
        out = np.empty((len(rows), self._targets), self._dtype)
        scratch = np.empty(self._scratch_bytes + 64, np.uint8)
        aligned = -(-scratch.ctypes.data // 64) * 64
        self._compiled(
            self._addresses.ctypes.data, rows.ctypes.data, len(rows), rows.shape[1], aligned, out.ctypes.data
        )
        return out


def _arrays(layout: Layout) -> tuple[NDArray[Any], ...]:
    """In the order of _Parts."""
    coded = layout.coded
    coded_arrays = (*_searched(coded), coded.columns, coded.codes)
    return (*coded_arrays, layout.trees, layout.operations, layout.records, layout.planes, layout.values)


def _searched(coded: Coded) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The thresholds as they are searched: each feature's in 32 parts of equal length, after the last of each part
    but one; infinity, below which nothing else lies, fills them up.

    The features are int64 [used features, 6]: number, where its pivots begin, the parts coming right after them, length
    of a part, thresholds, first column, column after the last.
    """
    features, pieces, begin = [], [], 0
    for number, first, count, column, last in coded.features.tolist():
        length = max(-(-count // (PIVOTS + 1)), 1)
        whole = np.full((PIVOTS + 1) * length, np.inf, coded.thresholds.dtype)
        whole[:count] = coded.thresholds[first : first + count]
        pieces += [whole[length - 1 : -1 : length], whole]
        features.append((number, begin, length, count, column, last))
        begin += PIVOTS + len(whole)
    numbers = np.array(features, np.int64).reshape(-1, FEATURE)
    return numbers, np.concatenate([np.empty(0, coded.thresholds.dtype), *pieces])


@functools.cache
def compiled(*, double: bool, narrow: bool, column_shift: int, fill: float) -> Compiled:
    """The kernel's machine code for one kind of layout."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=binding.get_host_cpu_features().flatten(), opt=2
    )
    written = _module(real=F64 if double else F32, code=I8 if narrow else I16, column_shift=column_shift, fill=fill)
    module = binding.parse_assembly(str(written))
    options = binding.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = True
    passes = binding.create_pass_builder(target, options)
    passes.getModulePassManager().run(module, passes)
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    _engines.append(engine)
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)  # calls through it let go of the interpreter's lock
    function: Compiled = kind(engine.get_function_address("score"))
    return function


_engines: list[Any] = []  # machine code lives as long as its engine


class _Parts:
    """What the function reads and writes, each by its name: its arguments taken apart as Kernel put them together."""

    def __init__(self, f: Function, *, real: Any, code: Any) -> None:
        self.f, self.real, self.code = f, real, code
        addresses, numbers, scratch = f.array(0, POINTER), f.array(0, I64), f.array(4, I8)
        kinds = enumerate((I64, real, I64, code, I64, I16, I64, I64, real))
        arrays = [addresses.pointer(i, kind) for i, kind in kinds]
        self.features, self.thresholds, self.columns, self.tables = arrays[:4]
        self.trees, self.operations, self.records, self.planes, self.values = arrays[4:]
        counts = [numbers[len(arrays) + i] for i in range(5)]
        self.feature_count, self.column_count, self.tree_count, self.targets, self.blocks = counts
        first = len(arrays) + len(counts)
        kinds = enumerate((I8, I32, I32, real, code, real))
        self.exits, self.index, self.ranks, self.column, self.codes, self.sums = (
            Array(f.builder, scratch.start(numbers[first + i]).address, kind) for i, kind in kinds
        )
        self.x, self.rows, self.width, self.out = f.array(1, real), f.integer(2), f.integer(3), f.array(5, real)


def _module(*, real: Any, code: Any, column_shift: int, fill: float) -> ir.Module:
    module = ir.Module("trees")
    parts = _Parts(Function(module, "score", "ppiipp"), real=real, code=code)
    f = parts.f
    _write_exit_numbers(parts)
    group_rows = parts.blocks * BLOCK
    with f.loop(parts.rows, step=group_rows) as first:
        left = parts.rows - first
        rows = (left < group_rows).choose(left, group_rows)
        blocks = (rows + (BLOCK - 1)) >> 7
        with f.loop(blocks) as block:
            _encode(parts, first, rows, block)
        with f.loop(blocks * parts.targets * BLOCK) as i:
            parts.sums[i] = f.constant(fill, real)
        with f.loop(parts.tree_count) as tree, f.loop(blocks) as block:
            _add_tree(parts, tree, block, column_shift=column_shift, fill=fill)
        with f.loop(rows) as row, f.loop(parts.targets) as target:
            place = ((row >> 7) * parts.targets + target) * BLOCK + (row & (BLOCK - 1))
            parts.out[(first + row) * parts.targets + target] = parts.sums[place]
    f.end()
    return module


def _write_exit_numbers(p: _Parts) -> None:
    with p.f.loop(EXITS) as number:
        p.exits.set_vector(number * BLOCK, number.cast(I8).spread(BLOCK))


def _encode(p: _Parts, first: Number, rows: Number, block: Number) -> None:
    """The codes of one block of rows; its last row is repeated where there are no more."""
    last_row = rows - block * BLOCK - 1
    x = p.x.start((first + block * BLOCK) * p.width)
    codes = p.codes.start(block * p.column_count * BLOCK)
    with p.f.loop(p.feature_count) as number:
        feature, first_pivot, length, count, column, last = (p.features[number * FEATURE + i] for i in range(FEATURE))
        with p.f.loop(BLOCK) as row:
            there = (row > last_row).choose(last_row, row)
            p.column[row] = x[there * p.width + feature]
        _rank(p, p.thresholds.start(first_pivot), length=length, count=count)
        with p.f.loop(last, start=column) as one:
            table = p.tables.start(p.columns[one])
            with p.f.loop(BLOCK) as row:
                codes[one * BLOCK + row] = table[p.ranks[row].cast(I64)]


def _rank(p: _Parts, thresholds: Array, *, length: Number, count: Number) -> None:
    """How many of the sorted thresholds lie below each value; one more than there are for NaN.

    Which part a value lies in, all pivots say, in registers. Within the part the search halves what is left for all
    rows of the block before it halves again: no row waits for another.
    """
    pivots = [thresholds[number] for number in range(PIVOTS)]
    with p.f.loop(BLOCK, step=TOGETHER) as row:
        values = p.column.vector(row, TOGETHER)
        part = p.f.constant(0, I32).spread(TOGETHER)
        for pivot in pivots:
            part = part + (pivot.spread(TOGETHER) < values).cast(I32)
        p.ranks.set_vector(row, part * length.cast(I32).spread(TOGETHER))
    parts = thresholds.start(PIVOTS)
    with p.f.halving(length) as (half, _), p.f.loop(BLOCK) as row:
        rank = p.ranks[row]
        above = parts[rank.cast(I64) + half - 1] < p.column[row]
        p.ranks[row] = rank + above.choose(half.cast(I32), p.f.constant(0, I32))
    with p.f.loop(BLOCK) as row:
        rank, value = p.ranks[row], p.column[row]
        rank = rank + (parts[rank.cast(I64)] < value).cast(I32)
        p.ranks[row] = value.is_nan().choose((count + 1).cast(I32), rank)


def _add_tree(p: _Parts, tree: Number, block: Number, *, column_shift: int, fill: float) -> None:
    """One tree's share of one block's sums."""
    start, stop, result, records, steps, plane, last = (p.trees[tree * 7 + i] for i in range(7))
    codes = p.codes.start(block * p.column_count * BLOCK)
    with p.f.loop(stop, start=start) as operation:
        column, cut, low, high, into = (p.operations[operation * 5 + i] for i in range(5))
        code = codes.vector(column.cast(I64) * BLOCK, BLOCK)
        goes_high = code > cut.cast(p.code).spread(BLOCK)
        low, high = (p.exits.vector(row.cast(I64) * BLOCK, BLOCK) for row in (low, high))
        p.exits.set_vector(into.cast(I64) * BLOCK, goes_high.choose(high, low))
    exits = p.exits.start(result * BLOCK)
    with p.f.loop(BLOCK) as row:
        p.index[row] = exits[row].cast(I32)
    step = functools.partial(_step, p, p.records.start(records), codes, column_shift=column_shift)
    with p.f.loop(steps >> 1), p.f.loop(BLOCK) as row:  # two at a time: half as often written and read again
        p.index[row] = step(row, step(row, p.index[row]))
    with p.f.loop(steps & 1), p.f.loop(BLOCK) as row:
        p.index[row] = step(row, p.index[row])
    with p.f.loop(last, start=plane) as number:
        sums = p.sums.start((block * p.targets + p.planes[number * 2]) * BLOCK)
        values = p.values.start(p.planes[number * 2 + 1])
        with p.f.loop(BLOCK) as row:
            value = values[p.index[row].cast(I64)]
            sums[row] = _joined(sums[row], value, fill=fill)


def _step(p: _Parts, records: Array, codes: Array, row: Number, index: Number, *, column_shift: int) -> Number:
    """From one record to the next of its tree."""
    record = records[index.widened(I64)]
    column_bytes = BLOCK * BYTES[p.code] >> column_shift
    code = codes.start(row).bytes_on(record.cut_below(48) * column_bytes)[0]
    cut, child = record.cast(p.code), record.cut_below(16).cast(I32)
    goes_high = cut.is_below(code) if p.code is I16 else code > cut
    return child + goes_high.cast(I32)


def _joined(total: Number, value: Number, *, fill: float) -> Number:
    if fill == np.inf:
        return (value < total).choose(value, total)
    if fill == -np.inf:
        return (value > total).choose(value, total)
    return total + value
