"""The version that another is made from: opened, bound to its columns, and ready to be scored beside its child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlserve_cli.contract import Contract, Declared, DeclaredInput, DeclaredOutput, ModelFacts, Nulls, bind
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import batch_rows_for
from mlserve_cli.registry import Found, Package, find
from mlserve_cli.session import Predictor, check_supported, open_model, read_facts, settle


@dataclass(frozen=True, slots=True)
class Parent:
    """A model with all that is needed to make another of it; `batch_rows` are those that a run would take."""

    found: Found
    facts: ModelFacts
    contract: Contract
    declared: Declared
    data: bytes
    predictor: Predictor
    batch_rows: int

    @property
    def package(self) -> Package:
        """Its package."""
        return self.found.package

    def open_child(self, data: bytes, *, contract: Contract | None = None) -> Predictor:
        """A session on what was made of it, as a worker would have one. InvalidModel (78) where it cannot be loaded."""
        return open_model(data, where=f"made of {self.found.spelled}", contract=contract or self.contract, threads=1)


def open_parent(
    model: str,
    *,
    registry: str | None = None,
    features: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    nulls: Nulls | None = None,
    threshold: float | None = None,
    file_columns: tuple[str, ...] | None = None,
) -> Parent:
    """MODEL as a run would bind it, its package's word first. Raises InvalidModel (78) where it cannot be run."""
    found = find(model, registry=Path(registry) if registry else None)
    package = found.package
    facts = read_facts(package.model_path)
    if facts.external_files:
        raise InvalidModel(
            f"the model keeps weights outside its file, in {shown(facts.external_files[0])}",
            shown(package.model_path, limit=400),
            "export it with its weights inside",
        )
    contract = bind(
        facts,
        package.declared,
        features=tuple(features),
        rename=dict(rename or {}),
        nulls=nulls,
        nan_scores="allow",
        threshold=threshold,
        file_columns=file_columns,
    )
    check_supported(facts, contract)
    data = Path(package.model_path).read_bytes()
    predictor = open_model(data, where=package.model_path, contract=contract, threads=1)
    contract = settle(contract, predictor=predictor)
    declared = package.declared if package.declared and not features else declared_as(contract)
    declared = msgspec.structs.replace(declared, nulls=contract.nulls, threshold=contract.threshold)
    return Parent(found, facts, contract, declared, data, predictor, batch_rows_for(facts, contract))


def declared_as(contract: Contract) -> Declared:
    """A bound contract as the child's package declares it."""
    return Declared(
        inputs=tuple(DeclaredInput(part.tensor.name, part.columns) for part in contract.inputs),
        outputs=tuple(DeclaredOutput(one.tensor.name, one.columns, one.role) for one in contract.outputs),
        nulls=contract.nulls,
        threshold=contract.threshold,
        fill=contract.fill,
    )
