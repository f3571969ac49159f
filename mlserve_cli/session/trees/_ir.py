"""LLVM's intermediate code written as Python reads: numbers with operators, arrays with brackets, loops with `with`.

No more of it than the kernel needs. Integers are signed; floating point is strict: nothing is reordered or contracted,
so that the same code gives the same bits on every processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()
BYTES = {I8: 1, I16: 2, I32: 4, I64: 8, F32: 4, F64: 8, POINTER: 8}

Operand: TypeAlias = "Number | int"


class Number:
    """An integer, a floating-point number, or a vector of them."""

    __slots__ = ("_builder", "raw")

    def __init__(self, builder: Any, raw: Any) -> None:
        self._builder, self.raw = builder, raw

    def _with(self, operation: str, other: Operand) -> Number:
        return Number(self._builder, getattr(self._builder, operation)(self.raw, self._raw(other)))

    def _raw(self, other: Operand) -> Any:
        return other.raw if isinstance(other, Number) else ir.Constant(self.raw.type, other)

    @property
    def _is_real(self) -> bool:
        return getattr(self.raw.type, "element", self.raw.type) in (F32, F64)

    def __add__(self, other: Operand) -> Number:
        return self._with("fadd" if self._is_real else "add", other)

    def __sub__(self, other: Operand) -> Number:
        return self._with("sub", other)

    def __mul__(self, other: Operand) -> Number:
        return self._with("mul", other)

    def __and__(self, other: Operand) -> Number:
        return self._with("and_", other)

    def __rshift__(self, bits: int) -> Number:
        return self._with("ashr", bits)

    def __lt__(self, other: Operand) -> Number:
        return self._compare("<", other)

    def __gt__(self, other: Operand) -> Number:
        return self._compare(">", other)

    def _compare(self, how: str, other: Operand) -> Number:
        compare = self._builder.fcmp_ordered if self._is_real else self._builder.icmp_signed
        return Number(self._builder, compare(how, self.raw, self._raw(other)))

    def is_below(self, other: Number) -> Number:
        """Whether this integer is less than the other, both without a sign."""
        return Number(self._builder, self._builder.icmp_unsigned("<", self.raw, other.raw))

    def cut_below(self, bits: int) -> Number:
        """The bits from that one on, zeros coming in above them."""
        return self._with("lshr", bits)

    def widened(self, kind: Any) -> Number:
        """An integer without a sign in more bits."""
        return Number(self._builder, self._builder.zext(self.raw, kind))

    def is_nan(self) -> Number:
        """Whether it is NaN."""
        return Number(self._builder, self._builder.fcmp_unordered("uno", self.raw, self.raw))

    def cast(self, kind: Any) -> Number:
        """An integer cut to fewer bits, or extended with its sign (a truth value with 0); each of a vector's alike."""
        old: Any = self.raw.type
        if isinstance(old, ir.VectorType):
            return Number(self._builder, self._builder.zext(self.raw, ir.VectorType(kind, old.count)))
        if old == kind:
            return self
        if old == I1:
            return Number(self._builder, self._builder.zext(self.raw, kind))
        return Number(
            self._builder, getattr(self._builder, "sext" if old.width < kind.width else "trunc")(self.raw, kind)
        )

    def choose(self, then: Number, otherwise: Number) -> Number:
        """`then` where this truth value holds, element by element for a vector."""
        return Number(self._builder, self._builder.select(self.raw, then.raw, otherwise.raw))

    def spread(self, length: int) -> Number:
        """A vector of this number."""
        kind = ir.VectorType(self.raw.type, length)
        one = self._builder.insert_element(ir.Constant(kind, ir.Undefined), self.raw, ir.Constant(I32, 0))
        everywhere = ir.Constant(ir.VectorType(I32, length), [0] * length)
        return Number(self._builder, self._builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), everywhere))


class Array:
    """Memory that holds elements of one kind."""

    __slots__ = ("_builder", "address", "kind")

    def __init__(self, builder: Any, address: Any, kind: Any) -> None:
        self._builder, self.address, self.kind = builder, address, kind

    def _place(self, index: Operand) -> Any:
        raw = index.raw if isinstance(index, Number) else ir.Constant(I64, index)
        return self._builder.gep(self.address, [raw], source_etype=self.kind)

    def __getitem__(self, index: Operand) -> Number:
        return Number(self._builder, self._builder.load(self._place(index), typ=self.kind, align=BYTES[self.kind]))

    def __setitem__(self, index: Operand, value: Number) -> None:
        self._builder.store(value.raw, self._place(index), align=BYTES[self.kind])

    def vector(self, index: Operand, length: int) -> Number:
        """`length` elements from `index` on."""
        kind = ir.VectorType(self.kind, length)
        return Number(self._builder, self._builder.load(self._place(index), typ=kind, align=BYTES[self.kind]))

    def set_vector(self, index: Operand, value: Number) -> None:
        """Store a vector from `index` on."""
        self._builder.store(value.raw, self._place(index), align=BYTES[self.kind])

    def start(self, index: Operand) -> Array:
        """The array that begins at `index`."""
        return Array(self._builder, self._place(index), self.kind)

    def bytes_on(self, count: Number) -> Array:
        """The array that begins so many bytes later."""
        return Array(self._builder, self._builder.gep(self.address, [count.raw], source_etype=I8), self.kind)

    def pointer(self, index: Operand, kind: Any) -> Array:
        """Of an array of addresses: the array at the address at `index`."""
        return Array(self._builder, self._builder.load(self._place(index), typ=POINTER, align=8), kind)


class Function:
    """A function under construction: void, of pointers and 64-bit integers."""

    def __init__(self, module: ir.Module, name: str, arguments: str) -> None:
        kinds = {"p": POINTER, "i": I64}
        self._function = ir.Function(module, ir.FunctionType(ir.VoidType(), [kinds[one] for one in arguments]), name)
        self.builder: Any = ir.IRBuilder(self._function.append_basic_block())

    def array(self, number: int, kind: Any) -> Array:
        """The argument of that number, a pointer."""
        return Array(self.builder, self._function.args[number], kind)

    def integer(self, number: int) -> Number:
        """The argument of that number, an integer."""
        return Number(self.builder, self._function.args[number])

    def constant(self, value: float, kind: Any = I64) -> Number:
        """A number known now."""
        return Number(self.builder, ir.Constant(kind, value))

    @contextmanager
    def loop(self, stop: Operand, *, start: Operand = 0, step: Operand = 1) -> Iterator[Number]:
        """`for i in range(start, stop, step)`."""
        head, body, after = (self.builder.append_basic_block() for _ in range(3))
        first, last, by = (self._integer(each) for each in (start, stop, step))
        before = self.builder.block
        self.builder.branch(head)
        self.builder.position_at_end(head)
        index = self.builder.phi(I64)
        index.add_incoming(first, before)
        self.builder.cbranch(self.builder.icmp_signed("<", index, last), body, after)
        self.builder.position_at_end(body)
        yield Number(self.builder, index)
        index.add_incoming(self.builder.add(index, by), self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    @contextmanager
    def halving(self, count: Number) -> Iterator[tuple[Number, Number]]:
        """`while count > 1: half = count // 2; …; count -= half`, with (half, count) for the body."""
        head, body, after = (self.builder.append_basic_block() for _ in range(3))
        before = self.builder.block
        self.builder.branch(head)
        self.builder.position_at_end(head)
        left = self.builder.phi(I64)
        left.add_incoming(count.raw, before)
        self.builder.cbranch(self.builder.icmp_signed(">", left, ir.Constant(I64, 1)), body, after)
        self.builder.position_at_end(body)
        half = Number(self.builder, left) >> 1
        yield half, Number(self.builder, left)
        left.add_incoming((Number(self.builder, left) - half).raw, self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(after)

    def end(self) -> None:
        """Return."""
        self.builder.ret_void()

    def _integer(self, value: Operand) -> Any:
        return value.raw if isinstance(value, Number) else ir.Constant(I64, value)
