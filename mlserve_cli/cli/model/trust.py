"""`mlserve model keygen`, `sign` and the group `trust`: who signs models, and whose signature counts here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlserve_cli.cli import options
from mlserve_cli.cli.command import Group, Place, group, option
from mlserve_cli.cli.model.options import Registry
from mlserve_cli.cli.terminal import TERMINAL
from mlserve_cli.errors import UsageError, shown

if TYPE_CHECKING:
    from mlserve_cli.cli.terminal import Facts
    from mlserve_cli.signing import SignatureSeen, Trusted
    from mlserve_cli.trust import Policy

KEY, CHANGE = "Key", "What to change"
TRUST_HELP = """Whose signature counts here: the keys of a policy file, and the names that each may sign.

\b
    mlserve model trust list
"""

PassphraseFile = Annotated[
    str | None,
    option("--passphrase-file", panel=KEY, metavar="FILE", help="A file that holds the private key's passphrase."),
]
PassphraseEnv = Annotated[
    str | None,
    option("--passphrase-env", panel=KEY, metavar="VAR", help="The environment variable that holds the passphrase."),
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A package folder, or NAME, NAME@ALIAS, NAME:VERSION in the registry.")
]


class _TrustCommands(Group):
    places = {
        "list": Place("mlserve_cli.cli.model.trust", "trust_list", "Show the policy and its keys."),
        "add": Place("mlserve_cli.cli.model.trust", "trust_add", "Trust a key for some names."),
        "remove": Place("mlserve_cli.cli.model.trust", "trust_remove", "Trust a key no longer."),
        "set": Place("mlserve_cli.cli.model.trust", "trust_set", "Say if unsigned models may run, and which versions."),
        "check": Place("mlserve_cli.cli.model.trust", "trust_check", "Say whether a model may run."),
    }


trust_app = group(_TrustCommands, help=TRUST_HELP)


def keygen(
    name: Annotated[str, typer.Argument(metavar="NAME", help="NAME.key and NAME.pub are written, over nothing.")],
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make a key pair to sign models with: NAME.key for whoever signs, NAME.pub for all who check.

    \b
        mlserve model keygen release
        mlserve model keygen release --passphrase-env RELEASE_PASSPHRASE

    The private key is for its owner's eyes only (mode 0600). It is encrypted where a passphrase is given, in a file or
    a variable: what stands on a command line, everyone on the machine can read.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.signing import read_passphrase
    from mlserve_cli.tables import text_of

    pair = life.keygen(name, passphrase=read_passphrase(file=passphrase_file, variable=passphrase_env))
    lines = [
        f"key {pair.key_id[:16]}",
        f"  private   {shown(str(pair.private), limit=400)}{'' if pair.encrypted else ' (without a passphrase)'}",
        f"  public    {shown(str(pair.public), limit=400)}",
    ]
    facts = {"key_id": pair.key_id, "private": text_of(str(pair.private)), "public": text_of(str(pair.public))}
    TERMINAL.show_result(lines, {"status": "complete", "exit_code": 0, **facts, "encrypted": pair.encrypted})
    return 0


def sign(
    model: Model,
    key: Annotated[str, option("--key", panel=KEY, metavar="FILE", help="The private key, in PEM form.")],
    passphrase_file: PassphraseFile = None,
    passphrase_env: PassphraseEnv = None,
    registry: Registry = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Sign a version: every file of it, its name and its number. Several keys may sign the same one.

    \b
        mlserve model sign churn:4 --key release.key
        mlserve model sign ./churn --key release.key --passphrase-file passphrase

    The signature lies beside the versions of the registry, or in the package folder, as a Sigstore bundle that the
    tools of OpenSSF Model Signing verify too.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life
    from mlserve_cli.signing import read_passphrase
    from mlserve_cli.tables import text_of

    passphrase = read_passphrase(file=passphrase_file, variable=passphrase_env)
    signed = life.sign(model, key=key, passphrase=passphrase, registry=registry)
    spelled = f"{signed.name}:{signed.version}" if signed.version else signed.name
    lines = [
        f"{shown(spelled)} {'was signed already' if signed.already else 'is signed'} by key {signed.key_id[:16]}",
        f"  signature {shown(str(signed.path), limit=400)}",
    ]
    facts = {"name": signed.name, "version": signed.version, "key_id": signed.key_id, "path": text_of(str(signed.path))}
    TERMINAL.show_result(lines, {"status": "complete", "exit_code": 0, **facts, "already": signed.already})
    return 0


def trust_list(
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Show the policy that commands go by: its keys, what each may sign, and what else it says.

    \b
        mlserve model trust list
        mlserve model trust list --trust-policy team.toml
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    return _show_policy(life.trust_list(trust_policy=trust_policy))


def trust_add(
    public_key: Annotated[str, typer.Argument(metavar="KEY.pub", help="The public key, in PEM form.")],
    models: Annotated[
        list[str],
        option(
            "--models", panel=KEY, metavar="NAME", help="A name that it may sign, * and ? allowed; may be given again."
        ),
    ],
    called: Annotated[
        str, option("--called", panel=KEY, metavar="TEXT", help="What people call the key. Default: its file's name.")
    ] = "",
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Trust what a key signs, for some names of models. The policy file is made where there is none.

    \b
        mlserve model trust add release.pub --models 'churn*' --models fraud

    From then on models that no such key signed are refused, with exit code 77.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    return _show_policy(life.trust_add(public_key, models=models, name=called, trust_policy=trust_policy))


def trust_remove(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name in the policy, or its id's first 8 digits.")],
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Trust a key no longer, as when it was lost: what it alone signed does not run any more.

    \b
        mlserve model trust remove release
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    return _show_policy(life.trust_remove(key, trust_policy=trust_policy))


def trust_set(
    unsigned: Annotated[
        Literal["refuse", "allow"] | None,
        option("--unsigned", panel=CHANGE, choices=("refuse", "allow"), help="Whether unsigned models may run."),
    ] = None,
    minimum: Annotated[
        str | None,
        option("--minimum", panel=CHANGE, metavar="NAME:VERSION", help="No version before this one of NAME may run."),
    ] = None,
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Change what else the policy says.

    \b
        mlserve model trust set --minimum churn:4
        mlserve model trust set --unsigned allow

    An older version has a good signature too. A minimum keeps whoever can write to the registry from putting it back.
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    named = None if minimum is None else _minimum(minimum)
    return _show_policy(life.trust_set(unsigned=unsigned, minimum=named, trust_policy=trust_policy))


def trust_check(
    model: Model,
    registry: Registry = None,
    trust_policy: options.TrustPolicy = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Say whether the policy lets a model run, and what there is to say of each of its signatures.

    \b
        mlserve model trust check churn@champion
    """
    TERMINAL.configure(json=json, quiet=quiet, verbose=verbose)
    from mlserve_cli import model as life

    found = life.trust_check(model, registry=registry, trust_policy=trust_policy)
    TERMINAL.show_result(_checked_lines(found), _checked_facts(found))
    return found.exit_code


def _minimum(text: str) -> tuple[str, int]:
    from mlserve_cli.registry import parse_reference

    wanted = parse_reference(text)
    if not wanted.version:
        raise UsageError(f"--minimum {shown(text)} names no version", "", "as in churn:4")
    return wanted.name, wanted.version


def _show_policy(policy: Policy) -> int:
    from mlserve_cli.tables import text_of

    file = policy.file
    lines = [
        f"policy {policy.where}",
        f"  unsigned  {'may run' if file.unsigned == 'allow' else 'refused'}",
        *(f"  minimum   {shown(name)}:{version}" for name, version in sorted(file.minimum_versions.items())),
        *(
            f"  key       {key.short} {shown(trusted.name)} signs {', '.join(map(shown, trusted.models))}"
            for trusted, key in policy.by_id.values()
        ),
    ]
    keys = [
        {"key_id": key.id, "name": trusted.name, "models": list(trusted.models)}
        for trusted, key in policy.by_id.values()
    ]
    facts = {"policy": text_of(policy.path), "sha256": policy.sha256, "unsigned": file.unsigned, "keys": keys}
    more = {"minimum_versions": file.minimum_versions}
    TERMINAL.show_result(lines, {"status": "complete", "exit_code": 0, **facts, **more})
    return 0


def _checked_lines(found: Trusted) -> list[str]:
    spelled = shown(f"{found.name}:{found.version}" if found.version else found.name)
    if found.refusal is not None:
        verdict = f"{spelled} may not run: {found.refusal.what}"
    elif found.verdict is None:
        verdict = f"{spelled} may run, as anything may: there is no trust policy"
    elif found.verdict.signed:
        verdict = f"{spelled} may run: {shown(found.verdict.signer)} signed it"
    else:
        verdict = f"{spelled} may run: the policy lets unsigned models run"
    where = [f"  policy    {found.policy.where}"] if found.policy is not None else []
    lines = [verdict, f"  digest    {found.digest}", *where, *map(_signature_line, found.signatures)]
    hint = found.refusal.hint if found.refusal is not None else ""
    return [*lines, *([f"  hint      {hint}"] if hint else [])]


def _signature_line(one: SignatureSeen) -> str:
    if not one.key_id:
        return f"  signature {shown(str(one.path), limit=400)}: {one.wrong}"
    if not one.signer:
        return f"  signature {one.key_id[:16]}: of a key that the policy does not have"
    return f"  signature {one.key_id[:16]} {shown(one.signer)}: {one.wrong or 'it holds'}"


def _checked_facts(found: Trusted) -> Facts:
    from mlserve_cli.tables import text_of

    signatures = [
        {"path": text_of(str(one.path)), "key_id": one.key_id, "signer": one.signer, "wrong": one.wrong}
        for one in found.signatures
    ]
    facts: dict[str, object] = {"name": found.name, "version": found.version, "digest": found.digest}
    facts |= {"policy": None if found.policy is None else text_of(found.policy.path), "signatures": signatures}
    if found.refusal is not None:
        error = {"what": found.refusal.what, "where": found.refusal.where, "hint": found.refusal.hint}
        return {"status": "failed", "exit_code": found.exit_code, "error": {"type": "Untrusted", **error}, **facts}
    return {"status": "complete", "exit_code": 0, "signer": found.verdict.signer if found.verdict else "", **facts}
