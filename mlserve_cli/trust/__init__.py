"""Whether a model may run: the policy of whom to trust, signatures and what they say. Nothing is written here."""

from mlserve_cli.trust.bundle import SUFFIX, Bundle, decode_bundle, encode_bundle, signed_bytes
from mlserve_cli.trust.check import SignatureCheck, Subject, check, files_of, read_signature, signature_holds
from mlserve_cli.trust.keys import PublicKey, load_public_key, read_public_key
from mlserve_cli.trust.policy import (
    POLICY_FORMAT,
    Policy,
    PolicyFile,
    TrustedKey,
    decode_policy,
    default_policy_path,
    read_policy,
)
from mlserve_cli.trust.statement import SIGNATURES, Statement, decode_statement, encode_statement, statement_of

__all__ = [
    "POLICY_FORMAT",
    "SIGNATURES",
    "SUFFIX",
    "Bundle",
    "SignatureCheck",
    "Policy",
    "PolicyFile",
    "PublicKey",
    "Statement",
    "Subject",
    "TrustedKey",
    "check",
    "decode_bundle",
    "decode_policy",
    "decode_statement",
    "default_policy_path",
    "encode_bundle",
    "encode_statement",
    "files_of",
    "load_public_key",
    "read_policy",
    "read_public_key",
    "read_signature",
    "signature_holds",
    "signed_bytes",
    "statement_of",
]
