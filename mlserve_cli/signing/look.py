"""What a policy says, and what it says of one model with each of its signatures: for people, nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlserve_cli.errors import InvalidConfig, Untrusted, shown
from mlserve_cli.registry import find, subject_of
from mlserve_cli.trust import (
    Policy,
    SignatureCheck,
    Subject,
    check,
    default_policy_path,
    read_policy,
    read_signature,
    signature_holds,
)


@dataclass(frozen=True, slots=True)
class SignatureSeen:
    """One signature of a model. `signer` is what the policy calls its key, "" for a key that the policy has not.

    `wrong` says why it does not hold; "" where it does, or where its key is not known and nothing can be said.
    """

    path: Path
    key_id: str
    signer: str
    wrong: str


@dataclass(frozen=True, slots=True)
class Trusted:
    """Whether a model may run: `verdict` says why it may (None: there is no policy), `refusal` why it may not."""

    name: str
    version: str
    digest: str
    policy: Policy | None
    signatures: tuple[SignatureSeen, ...]
    verdict: SignatureCheck | None
    refusal: Untrusted | None

    @property
    def exit_code(self) -> int:
        """0, or 77 where it may not."""
        return self.refusal.exit_code if self.refusal is not None else 0


def trust_list(*, trust_policy: str | None = None) -> Policy:
    """The policy that commands go by. InvalidConfig (78) where there is none."""
    policy = read_policy(trust_policy)
    if policy is None:
        raise InvalidConfig(
            "there is no trust policy, so any model may run",
            shown(default_policy_path(), limit=400),
            "mlserve model trust add KEY.pub --models 'NAME*' makes one",
        )
    return policy


def trust_check(model: str, *, registry: str | None = None, trust_policy: str | None = None) -> Trusted:
    """Whether the policy lets MODEL run, with a look at each of its signatures."""
    policy = read_policy(trust_policy)
    subject = subject_of(find(model, registry=Path(registry) if registry else None).package)
    seen = tuple(_seen(path, subject, policy) for path in subject.signatures)
    verdict, refusal = None, None
    try:
        verdict = check(subject, policy) if policy is not None else None
    except Untrusted as error:
        refusal = error
    return Trusted(subject.name, subject.version, subject.digest, policy, seen, verdict, refusal)


def _seen(path: Path, subject: Subject, policy: Policy | None) -> SignatureSeen:
    try:
        bundle = read_signature(path)
    except Untrusted as error:
        return SignatureSeen(path, "", "", error.what)
    known = policy.by_id.get(bundle.key_id) if policy is not None else None
    if known is None:
        return SignatureSeen(path, bundle.key_id, "", "")
    trusted, key = known
    try:
        signature_holds(bundle, subject, key=key, where=shown(str(path), limit=400))
    except Untrusted as error:
        return SignatureSeen(path, bundle.key_id, trusted.name, error.what)
    return SignatureSeen(path, bundle.key_id, trusted.name, "")
