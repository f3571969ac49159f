"""Keys and signatures are made here, and the policy is edited: what `trust` only ever reads."""

from mlserve_cli.signing.edit_policy import add_key, change_policy, remove_key
from mlserve_cli.signing.keys import KeyPair, keygen, read_passphrase
from mlserve_cli.signing.sign import Signed, sign

__all__ = [
    "KeyPair",
    "Signed",
    "add_key",
    "change_policy",
    "keygen",
    "read_passphrase",
    "remove_key",
    "sign",
]
