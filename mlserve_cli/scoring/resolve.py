"""MODEL, from what the user typed to what a plan can name: package, digest, facts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mlserve_cli.contract import Contract, Declared, Input, ModelFacts, bind
from mlserve_cli.errors import InvalidModel, shown
from mlserve_cli.planning import PlannedGolden, PlannedModel
from mlserve_cli.registry import Found, Package, find, subject_of
from mlserve_cli.session import read_facts
from mlserve_cli.tables import text_of
from mlserve_cli.trust import SignatureCheck, check, read_policy


class ResolvedModel(msgspec.Struct, frozen=True):
    """A package whose digests hold and whose ONNX file can be run here, and as what it was found.

    `signature` is what a trust policy had to say of it, None where there is no policy.
    """

    found: Found
    facts: ModelFacts
    signature: SignatureCheck | None = None

    @property
    def package(self) -> Package:
        """The package itself."""
        return self.found.package

    def planned(self, contract: Contract) -> PlannedModel:
        """What the plan says of it, where its outputs are written as `contract` says."""
        return PlannedModel(
            name=text_of(self.package.name),
            version=self.package.version,
            path=text_of(self.package.path),
            file=text_of(self.package.file),
            digest=self.package.digest,
            sha256=self.facts.sha256,
            family=self.facts.family,
            precision=self.facts.precision,
            external_files=tuple(sorted(self.package.external_files)),
            golden=self._golden(contract),
        )

    def _golden(self, contract: Contract) -> PlannedGolden | None:
        golden, declared = self.package.golden, self.package.declared
        if golden is None or declared is None:
            return None
        plain = self.facts.zipmaps
        declared_names = {plain.get(output.tensor, output.tensor): output.columns for output in declared.outputs}
        columns = {
            written: f"expected_{name}"
            for output in contract.outputs
            for written, name in zip(output.columns, declared_names.get(output.tensor.name, ()), strict=False)
        }
        inputs = self._own_inputs(declared) or contract.inputs
        return PlannedGolden(golden.file, self.package.golden_sha256, golden.tolerance, inputs, columns)

    def _own_inputs(self, declared: Declared) -> tuple[Input, ...]:
        """The inputs as the package and the model name their columns; none where only --features does."""
        try:
            return bind(self.facts, declared).inputs
        except InvalidModel:
            return ()


def resolve(model: str, *, registry: str | None = None, trust_policy: str | None = None) -> ResolvedModel:
    """Open and look into MODEL: a path, or a name in the registry, whose alias is looked up this once.

    Raises InputMissing (66) where nothing stands, Untrusted (77) where `trust_policy`, or else the user's own, does not
    let it run, InvalidModel (78) where it cannot be run.
    """
    found = find(model, registry=Path(registry) if registry else None)
    package = found.package
    policy = read_policy(trust_policy)
    signature = check(subject_of(package), policy) if policy is not None else None
    facts = read_facts(package.model_path)
    if facts.sha256 != package.model_sha256:
        raise InvalidModel(
            "the model changed while it was opened", shown(package.model_path, limit=400), "run it again"
        )
    return ResolvedModel(found, facts, signature)
