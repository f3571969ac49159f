"""The Predictor that runs tree nodes on the kernel, and the rest of the graph on ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mlserve_cli.contract import Contract
from mlserve_cli.session._onnxfile import parse
from mlserve_cli.session._predictor import OnnxPredictor, Tensors, checked_model, fixed_batch, open_session
from mlserve_cli.session._runtime import RowsFailed
from mlserve_cli.session._zipmap import cut_zipmaps
from mlserve_cli.session.trees._ensemble import Ensemble, Unsupported, read_ensemble
from mlserve_cli.session.trees._finish import Finish, finish, prepare_finish
from mlserve_cli.session.trees._graph import CutModel, Piece, alone, cut_at_trees
from mlserve_cli.session.trees._layout import lay_out
from mlserve_cli.session.trees._sets import with_sets

if TYPE_CHECKING:
    from mlserve_cli.session.trees._kernel import Kernel

DOUBLE = "tensor(double)"
FED_AS = {"tensor(float)": 1, DOUBLE: 11, "tensor(int64)": 7, "tensor(int32)": 6}


class TreeNode(msgspec.Struct, frozen=True):
    """One tree node ready to run: `fed` is its input's name, `dtype` that input's ONNX element type.

    `outputs` are its outputs' names, of which "" is not asked for. `width` is how many features it reads, up to the
    last one that a branch asks for. `alone` is a model of this node, b"" where the whole model reads no more than it.
    Of the parsed file nothing is kept: it takes seven times the file's bytes, in every process.
    """

    fed: str
    outputs: tuple[str, ...]
    dtype: int
    width: int
    is_double: bool
    kernel: Kernel
    finish: Finish
    alone: bytes

    @property
    def ensemble(self) -> Ensemble:
        """Its trees."""
        return self.finish.ensemble

    def predict(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """The node's outputs by name; see Predictor."""
        rows = tensors[self.fed]
        if rows.ndim != 2 or rows.shape[1] < self.width:
            raise RowsFailed(len(rows), f"the trees read {self.width} features, and are given {list(rows.shape[1:])}")
        sums = self.kernel.sums(np.ascontiguousarray(rows, self.ensemble.threshold.dtype))
        scores, labels = finish(self.finish, sums)
        if not self.is_double:
            scores = scores.astype(np.float32, copy=False)
        values = [scores] if labels is None else [labels, scores]
        return {name: array for name, array in zip(self.outputs, values, strict=False) if name}


class TreesPredictor:
    """What comes before the trees, the trees, what comes after them. Threads may share it."""

    __slots__ = ("_after", "_before", "_outputs", "nodes")

    def __init__(
        self,
        nodes: tuple[TreeNode, ...],
        *,
        before: OnnxPredictor | None,
        after: OnnxPredictor | None,
        outputs: tuple[str, ...],
    ) -> None:
        self.nodes = nodes
        self._before, self._after, self._outputs = before, after, outputs

    def predict(self, tensors: Tensors) -> dict[str, NDArray[Any]]:
        """See Predictor."""
        known = dict(tensors)
        if self._before is not None:
            known |= self._before.predict(_those(known, self._before.inputs))
        for node in self.nodes:
            known |= node.predict(known)
        if self._after is not None:
            known |= self._after.predict(_those(known, self._after.inputs))
        return {name: known[name] for name in self._outputs}


def open_trees(
    path: str,
    *,
    sha256: str,
    contract: Contract,
    allowed_external: frozenset[str] = frozenset(),
    least_trees: float = 0,
) -> TreesPredictor:
    """The model at `path`, its digest checked, with its trees on the kernel; LLVM is not loaded for fewer trees.

    Raises Unsupported, with the reason, where ONNX Runtime must run it whole.
    """
    if allowed_external:
        raise Unsupported("the model keeps weights outside its file")
    wanted = tuple(output.tensor.name for output in contract.outputs)
    data = cut_zipmaps(checked_model(path, sha256=sha256), wanted=wanted, where=path)
    model = parse(data, where=path)
    cut = cut_at_trees(model, wanted=wanted)
    size = fixed_batch(contract)
    before = _session(cut.before, path, size)
    types = {value.name: f"tensor({_ELEMENTS.get(value.type.tensor_type.elem_type)})" for value in model.graph.input}
    types |= before.output_types if before is not None else {}
    finishes = [_read(node, types.get(node.input[0], "")) for node in cut.nodes]
    trees = sum(len(each.ensemble.roots) for each in finishes)
    if trees < least_trees:
        raise Unsupported(f"{trees} trees over so few rows take less time than the start of the kernel")
    nodes = _open_nodes(model, cut, finishes, types, contract=contract)
    return TreesPredictor(nodes, before=before, after=_session(cut.after, path, size), outputs=wanted)


_ELEMENTS = {1: "float", 11: "double", 7: "int64", 6: "int32"}


def _session(piece: Piece | None, path: str, size: int | None) -> OnnxPredictor | None:
    if piece is None:
        return None
    session = open_session(piece.data, path=path, threads=1)
    return OnnxPredictor(session, outputs=piece.outputs, fixed_batch=size)


def _read(node: Any, kind: str) -> Finish:
    if kind not in FED_AS or (kind not in ("tensor(float)", DOUBLE) and node.op_type != "TreeEnsembleClassifier"):
        raise Unsupported(f"its trees read a {kind}")
    try:
        return prepare_finish(with_sets(read_ensemble(node, double=kind == DOUBLE)))
    except (ValueError, IndexError, OverflowError) as error:  # text that is not UTF-8, numbers out of all bounds
        raise Unsupported(f"its trees cannot be read: {error}") from error


def _open_nodes(
    model: Any, cut: CutModel, finishes: list[Finish], types: dict[str, str], *, contract: Contract
) -> tuple[TreeNode, ...]:
    try:
        from mlserve_cli.session.trees._kernel import Kernel  # LLVM: loaded where trees are run, and only there
    except (ImportError, OSError) as error:
        raise Unsupported(f"llvmlite cannot be loaded: {error}") from error
    is_all = len(cut.nodes) == 1 and _is_all_that_reads(cut.nodes[0], contract)
    return tuple(
        TreeNode(
            fed=str(node.input[0]),
            outputs=tuple(node.output),
            dtype=FED_AS[types[node.input[0]]],
            width=how.ensemble.highest_feature + 1,
            is_double=node.op_type == "TreeEnsemble",
            kernel=Kernel(lay_out(how.ensemble)),
            finish=how,
            alone=b"" if is_all else alone(model, node, dtype=FED_AS[types[node.input[0]]]),
        )
        for node, how in zip(cut.nodes, finishes, strict=True)
    )


def _is_all_that_reads(node: Any, contract: Contract) -> bool:
    """Whether rows for the node can be given to the whole model."""
    (first, *more) = contract.inputs
    return not more and first.tensor.name == node.input[0] and len(first.tensor.shape) == 2


def _those(tensors: Tensors, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    return {name: tensors[name] for name in names}
