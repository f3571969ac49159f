"""What mlserve does not run, refused by name before the first batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from mlserve_cli.contract import Contract, ModelFacts, TensorSpec
from mlserve_cli.errors import InvalidModel, shown

DTYPES = frozenset(
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool string".split()  # noqa: SIM905
)
DOMAINS = frozenset(
    {
        "ai.onnx",
        "ai.onnx.ml",
        "com.microsoft",
        "com.microsoft.nchwc",
        "ai.onnx.preview.training",
        "com.ms.internal.nhwc",
    }
    | {"com.microsoft.experimental", "com.microsoft.dml", "org.pytorch.aten", "com.microsoft.mlfeaturizers"}
)


def check_supported(facts: ModelFacts, contract: Contract, *, allowed_external: frozenset[str] = frozenset()) -> None:
    """Raise InvalidModel for the first thing in the model that cannot be run here, naming it.

    `allowed_external` are the external data files, relative to the model's folder, whose digests a package vouches for.
    Outputs that the contract does not ask for are never computed and may be anything.
    """
    for error in find_unsupported(facts, contract, allowed_external=allowed_external):
        raise error


def find_unsupported(
    facts: ModelFacts, contract: Contract | None, *, allowed_external: frozenset[str] = frozenset()
) -> Iterator[InvalidModel]:
    """All that cannot be run, each as `check_supported` would say it; without a contract nothing is said of outputs."""
    outputs = contract.outputs if contract is not None else ()
    checks: list[Callable[[], None]] = [
        partial(_check_domains, facts),
        partial(_check_external, facts, allowed_external),
        *(partial(_check_input, spec, facts) for spec in facts.inputs),
        *(partial(_check_output, output.tensor, facts) for output in outputs),
    ]
    for check in checks:
        try:
            check()
        except InvalidModel as error:
            yield error


def _check_domains(facts: ModelFacts) -> None:
    used = {name.rpartition(".")[0] for name in facts.operators if "." in name}
    custom = sorted(used - DOMAINS)
    if custom:
        operators = ", ".join(shown(name) for name in facts.operators if name.rpartition(".")[0] in custom)
        raise InvalidModel(
            f"the model uses custom operators: {operators}",
            "",
            "their libraries run code of their own and are not loaded; export with standard operators",
        )


def _check_external(facts: ModelFacts, allowed: frozenset[str]) -> None:
    strangers = [name for name in facts.external_files if name not in allowed]
    if strangers:
        raise InvalidModel(
            f"the model keeps weights outside its file, in {shown(strangers[0])}",
            "",
            "save it with the weights inside, or as a package that lists that file with its digest",
        )


def _check_input(spec: TensorSpec, facts: ModelFacts) -> None:
    if spec.dtype not in DTYPES:
        raise InvalidModel(f"input {shown(spec.name)} is of type {spec.dtype}, which is not supported")
    if not spec.shape:
        raise InvalidModel(f"input {shown(spec.name)} is a single scalar: it has no axis for the rows")
    if spec.shape[0] not in (None, facts.fixed_batch):
        raise InvalidModel(f"input {shown(spec.name)} fixes {spec.shape[0]} rows, another input {facts.fixed_batch}")
    if len(spec.shape) > 2 and spec.width is None:
        raise InvalidModel(
            f"input {shown(spec.name)} of shape {spec.shape} leaves an axis besides the rows open",
            "",
            "export it with all axes but the first fixed",
        )


def _check_output(spec: TensorSpec, facts: ModelFacts) -> None:
    name = shown(spec.name)
    if spec.dtype not in DTYPES:
        raise InvalidModel(
            f"output {name} is of type {spec.dtype}, which is not supported",
            "",
            "a package's contract can list the outputs that are wanted, without this one",
        )
    if not spec.shape:
        raise InvalidModel(f"output {name} is a single scalar: it does not have one value per row")
    rows = spec.shape[0]
    # [classes, rows, 2] as multi-output classifiers have it; a declared [1] for [rows] is a habit of LightGBM exports
    if len(spec.shape) > 1 and rows is not None and rows != 1 and rows != facts.fixed_batch:
        raise InvalidModel(f"output {name} of shape {list(spec.shape)} does not have the rows as its first axis")
