"""The commands under a policy: 77 before anything is written, and in the manifest who signed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlserve_cli import signing
from tests import models
from tests.cli.desk import Desk, Ended, environment
from tests.trust.signed import Shop


@pytest.fixture
def under_policy(shop: Shop, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk, with the shop's registry and policy named by the environment."""
    monkeypatch.setenv("MLSERVE_TRUST_POLICY", shop.policy)
    monkeypatch.setenv("MLSERVE_REGISTRY", str(shop.root))
    return desk


def score(desk: Desk, model: str, *more: str) -> list[str]:
    return ["score", "-m", model, "-i", desk.path("rows.csv"), "-o", desk.path("out"), *more]


def command_on(name: str, desk: Desk, model: str) -> list[str]:
    commands = {
        "score": score(desk, model),
        "score, dry": score(desk, model, "--dry-run"),
        "inspect": ["inspect", model],
        "validate": ["model", "validate", model],
        "check": ["model", "trust", "check", model],
    }
    return commands[name]


@pytest.mark.parametrize(
    "name", ["score", "score, dry", "inspect", pytest.param("validate", marks=pytest.mark.slow), "check"]
)
def test_a_command_runs_what_is_signed_and_refuses_what_is_not(name: str, under_policy: Desk, shop: Shop) -> None:
    assert under_policy.run(*command_on(name, under_policy, "churn@champion")).code == 0
    shop.signature(1).unlink()
    refused = under_policy.run(*command_on(name, under_policy, "churn:1"))
    assert refused.code == refused.last["exit_code"] == 77
    assert refused.error["type"] == "Untrusted"
    assert "churn:1 is signed by nobody" in refused.error["what"]
    assert "mlserve model sign" in refused.error["hint"]


def test_the_manifest_says_which_key_signed_and_which_policy_let_it_run(under_policy: Desk, shop: Shop) -> None:
    assert under_policy.run(*score(under_policy, "churn")).code == 0
    policy = signing.trust_list(trust_policy=shop.policy)
    assert under_policy.manifest()["model"]["signature"] == {
        "signer": "release",
        "key_id": next(iter(policy.by_id)),
        "policy_sha256": policy.sha256,
    }


def test_an_unsigned_model_that_may_run_is_told_from_one_that_was_not_asked_about(
    under_policy: Desk, shop: Shop
) -> None:
    signing.trust_set(unsigned="allow", trust_policy=shop.policy)
    assert under_policy.run(*score(under_policy, under_policy.path("linear.onnx"))).code == 0
    assert under_policy.manifest()["model"]["signature"]["key_id"] == ""
    os.environ.pop("MLSERVE_TRUST_POLICY")
    plain = ["score", "-m", under_policy.path("linear.onnx"), "-i", under_policy.path("rows.csv")]
    assert under_policy.run(*plain, "-o", under_policy.path("plain")).code == 0
    assert under_policy.manifest("plain")["model"]["signature"] is None


def test_a_replay_asks_the_policy_of_today(under_policy: Desk, shop: Shop) -> None:
    assert under_policy.run(*score(under_policy, "churn")).code == 0
    assert under_policy.run("replay", under_policy.path("out")).code == 0
    signing.trust_remove("release", trust_policy=shop.policy)
    refused = under_policy.run("replay", under_policy.path("out"))
    assert (refused.code, refused.error["type"]) == (77, "Untrusted")


def test_a_refused_model_leaves_what_stood_at_the_output(under_policy: Desk, shop: Shop) -> None:
    assert under_policy.run(*score(under_policy, "churn")).code == 0
    before = Path(under_policy.path("out/manifest.json")).read_bytes()
    shop.signature(2).unlink()
    assert under_policy.run(*score(under_policy, "churn", "--if-exists", "overwrite")).code == 77
    assert Path(under_policy.path("out/manifest.json")).read_bytes() == before


def test_the_option_names_a_policy_for_one_call(shop: Shop, desk: Desk) -> None:
    model = desk.path("linear.onnx")
    assert desk.run(*score(desk, model)).code == 0
    assert desk.run(*score(desk, model, "--trust-policy", shop.policy, "--if-exists", "overwrite")).code == 77


def test_without_a_policy_no_library_for_keys_is_loaded(shop: Shop, desk: Desk) -> None:
    program = "import sys; from mlserve_cli.cli import app, run; code = run(app, sys.argv[1:]); "
    program += "print('cryptography' in sys.modules, file=sys.stderr); sys.exit(code)"
    arguments = score(desk, "churn", "--registry", str(shop.root), "--quiet")

    def loads(*more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments, *more],
            capture_output=True, text=True, env=environment(), check=True,
        )  # fmt: skip
        return done.stderr.splitlines()[-1]

    assert loads() == "False"
    assert loads("--trust-policy", shop.policy, "--if-exists", "overwrite") == "True"


def test_where_the_library_for_keys_is_missing_the_extra_is_named(shop: Shop, desk: Desk) -> None:
    program = "import sys; sys.modules['cryptography'] = None; from mlserve_cli.cli import main; main()"
    arguments = score(desk, "churn", "--registry", str(shop.root), "--trust-policy", shop.policy)
    for command in (arguments, ["model", "keygen", desk.path("more")]):
        done = subprocess.run(
            [sys.executable, "-c", program, *command], capture_output=True, text=True, env=environment(), check=False
        )
        ended = Ended(done.returncode, done.stdout, done.stderr)
        assert (ended.code, ended.error["type"]) == (69, "ExtraMissing")
        assert ended.error["hint"] == "pip install 'mlserve-cli[sign]'"


def test_a_check_tells_of_each_signature(under_policy: Desk, shop: Shop) -> None:
    shop.new_key("stranger")
    shop.sign("churn:2", key="stranger")
    shop.new_key("quality", "fraud*")
    shop.sign("churn:2", key="quality")
    ended = under_policy.run("model", "trust", "check", "churn")
    assert "churn:2 may run: release signed it" in ended.out
    assert "of a key that the policy does not have" in ended.out
    assert {one["signer"] for one in ended.last["signatures"]} == {"release", "quality", ""}


def test_the_way_of_a_new_key_by_commands_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with a passphrase, trusted, signed with, checked, trusted no longer."""
    monkeypatch.chdir(desk.folder)
    monkeypatch.setenv("MLSERVE_REGISTRY", desk.path("registry"))
    monkeypatch.setenv("RELEASE_PASSPHRASE", "a long one")
    from mlserve_cli.registry import Registry

    Registry(desk.folder / "registry").add(desk.path("linear.onnx"), name="churn", alias="champion", by="tests")
    assert desk.run("model", "trust", "list").code == 78
    made = desk.run("model", "keygen", "release", "--passphrase-env", "RELEASE_PASSPHRASE")
    assert (made.code, made.last["encrypted"]) == (0, True)
    assert (
        desk.run("model", "trust", "add", "release.pub", "--models", "churn*", "--called", "the release team").code == 0
    )
    assert desk.run("model", "trust", "check", "churn").code == 77
    assert (
        desk.run("model", "sign", "churn", "--key", "release.key").error["what"]
        == "this private key needs its passphrase"
    )
    assert (
        desk.run("model", "sign", "churn", "--key", "release.key", "--passphrase-env", "RELEASE_PASSPHRASE").code == 0
    )
    checked = desk.run("model", "trust", "check", "churn")
    assert (checked.code, checked.last["signer"]) == (0, "the release team")
    assert "the release team" in desk.run("model", "trust", "list").out
    assert desk.run("model", "trust", "set", "--minimum", "churn:2").code == 0
    assert desk.run("model", "trust", "check", "churn").code == 77
    assert desk.run("model", "trust", "set", "--minimum", "churn:1", "--unsigned", "allow").code == 0
    assert desk.run("model", "trust", "check", "churn").code == 0
    assert desk.run("model", "trust", "remove", "the release team").code == 0
    assert desk.run("model", "trust", "list").last["keys"] == []


def test_the_command_line_is_no_place_for_a_passphrase(desk: Desk) -> None:
    for command in ("keygen", "sign"):
        shown = desk.run("model", command, "--help").out
        assert "--passphrase " not in shown
        assert "--passphrase-file" in shown


def test_a_model_from_a_folder_is_signed_in_it(shop: Shop, desk: Desk) -> None:
    bare = desk.save("bare.onnx", models.linear())
    ended = desk.run("model", "sign", bare, "--key", shop.key)
    assert (ended.code, ended.error["type"]) == (78, "InvalidModel")
    folder = str(shop.folder / "package-1")
    assert desk.run("model", "sign", folder, "--key", shop.key, "--quiet").code == 0
    assert desk.run("inspect", folder, "--trust-policy", shop.policy).code == 0
