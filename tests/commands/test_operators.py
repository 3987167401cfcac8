"""``freeroute operators``, and tokens on a gateway that runs."""

import json
import re
from pathlib import Path

import httpx

from freeroute.domain.clients import hash_key
from freeroute.stores.operators_file import OperatorsFile
from tests.commands.conftest import process, url_of
from tests.commands.test_serving_clients import SETTINGS, comes_about
from tests.support.patience import PATIENCE


def test_a_token_is_shown_once_and_kept_by_its_hash(run):
    assert "the admin key alone" in run("operators", "list").stdout
    result = run(
        "operators", "add", "ann", "--scope", "operate", "--expires", "2099-01-31", "--note", "night"
    )
    (token,) = re.findall(r"^fo-[\w-]{43}$", result.stdout, re.MULTILINE)
    [ann] = OperatorsFile(Path.home() / ".local/state/freeroute").read()
    assert (ann.name, ann.scope, ann.token_hash) == ("ann", "operate", hash_key(token))
    text = run("operators", "list").stdout
    assert "2099-01-31 00:00 UTC" in text
    assert token not in text


def test_a_token_is_revoked_and_stays_listed(run):
    run("operators", "add", "ann", "--scope", "read")
    assert run("operators", "revoke", "ann").stdout == "The token of ann opens nothing any more.\n"
    [told] = json.loads(run("operators", "list", "--json").stdout)
    assert (told["name"], told["state"]) == ("ann", "revoked")
    audit = (Path.home() / ".local/state/freeroute/audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["what"] for line in audit] == ["operator.add", "operator.revoke"]


def test_what_is_wrong_is_refused(run):
    assert run("operators", "add", "ann").exit_code == 2
    assert run("operators", "add", "ann", "--scope", "root").exit_code == 2
    result = run("operators", "add", "a b", "--scope", "read")
    assert (result.exit_code, "a name has up to 64" in result.stderr) == (2, True)
    result = run("operators", "add", "admin", "--scope", "read")
    assert (result.exit_code, "choose another" in result.stderr) == (1, True)
    result = run("operators", "revoke", "nobody")
    assert (result.exit_code, "there is no operator nobody" in result.stderr) == (1, True)


def test_a_running_gateway_goes_by_tokens_and_by_what_they_change_at_once(run):
    home = Path.home()
    (home / "freeroute.yaml").write_text(SETTINGS)
    with (
        process("serve", "--port", "0", directory=home) as started,
        httpx.Client(base_url=url_of(started), timeout=PATIENCE) as client,
    ):
        told = run("operators", "add", "ann", "--scope", "operate", "--json").stdout
        as_ann = {"authorization": f"Bearer {json.loads(told)['token']}"}
        assert comes_about(lambda: client.get("/admin/whoami", headers=as_ann).status_code == 200)
        key = client.post("/admin/clients", headers=as_ann, json={"name": "alice"}).json()["key"]
        as_alice = {"authorization": f"Bearer {key}"}
        assert client.get("/v1/key").status_code == 401
        assert client.get("/v1/key", headers=as_alice).status_code == 200
        assert client.post("/admin/clients/alice/revoke", headers=as_ann).status_code == 200
        assert client.get("/v1/key", headers=as_alice).status_code == 401
        changes = client.get("/admin/audit?who=ann", headers=as_ann).json()["data"]
        assert [one["what"] for one in changes] == ["client.revoke", "client.add"]
        assert json.loads(run("clients", "list", "--json").stdout)[0]["state"] == "revoked"
        run("operators", "revoke", "ann")
        assert comes_about(lambda: client.get("/admin/whoami", headers=as_ann).status_code == 401)
