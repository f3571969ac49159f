"""ZipMap cut off: the tensor that it wraps into one dict per row becomes the output.

A list of dicts costs more than the model itself and would have to be taken apart row by row.
"""

from __future__ import annotations

from collections.abc import Collection

from mlserve_cli.session._facts import is_zipmap
from mlserve_cli.session._onnxfile import parse


def cut_zipmaps(data: bytes, *, wanted: Collection[str], where: str) -> bytes:
    """The model with a ZipMap's input as output in its place where `wanted`; the same bytes where nothing is to do."""
    if b"ZipMap" not in data:  # the rule; parsing a forest takes longer than finding this out
        return data
    model = parse(data, where=where)
    graph = model.graph
    present = {value.name for value in graph.output}
    zipmaps = [node for node in graph.node if is_zipmap(node) and node.output[0] in present]
    for node in zipmaps:
        tensor = node.input[0]
        output = next(value for value in graph.output if value.name == node.output[0])
        if tensor in wanted and tensor not in present:
            output.name = tensor
            output.ClearField("type")  # ONNX Runtime infers it
            present.add(tensor)
        else:
            graph.output.remove(output)
        graph.node.remove(node)
    cut: bytes = model.SerializeToString()
    return cut
