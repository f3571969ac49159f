"""Keys and signatures are made here, and the policy is edited: what `trust` only ever reads."""

from mlserve_cli.signing.edit_policy import trust_add, trust_remove, trust_set
from mlserve_cli.signing.keys import KeyPair, keygen, read_passphrase
from mlserve_cli.signing.look import SignatureSeen, Trusted, trust_check, trust_list
from mlserve_cli.signing.sign import Signed, sign

__all__ = [
    "KeyPair",
    "SignatureSeen",
    "Signed",
    "Trusted",
    "keygen",
    "read_passphrase",
    "sign",
    "trust_add",
    "trust_check",
    "trust_list",
    "trust_remove",
    "trust_set",
]
