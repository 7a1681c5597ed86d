"""What ``so3lab app`` serves, to whom, and what it says of that; tests/browser looks at its page."""

import ast
import sys
from argparse import Namespace

import pytest

from so3lab.app import main
from so3lab.app.application import exposure, is_local, notebook, settings


def refused(capsys, *words) -> str:
    assert main(["app", *map(str, words)]) == 1
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("ip", "local"),
    [("127.0.0.1", True), ("127.9.8.7", True), ("::1", True), ("localhost", True)]
    + [(ip, False) for ip in ("0.0.0.0", "::", "", "*", "192.168.1.7")],
)
def test_an_address_is_local_where_no_other_computer_reaches_it(ip, local):
    assert is_local(ip) is local


def test_panels_are_confined_before_there_are_any_where_others_reach_them(tmp_path):
    for confined in (True, False):
        (cell,) = notebook(tmp_path, "so3lr", "smiles:C'C", confined)["cells"]
        calls = [node for node in ast.walk(ast.parse(cell["source"])) if isinstance(node, ast.Call)]
        names = [ast.unparse(one.func) for one in sorted(calls, key=lambda node: node.lineno)]
        assert names == ["os.chdir", *["confine"] * confined, "Lab", "WhenSeen"]
        (lab,) = (one for one in calls if ast.unparse(one.func) == "Lab")
        given = {one.arg: ast.literal_eval(one.value) for one in lab.keywords}
        assert given == {"model": "so3lr", "structure": "smiles:C'C"}


@pytest.mark.parametrize(
    ("ip", "no_token", "elsewhere"),
    [("127.0.0.1", True, False), ("127.0.0.1", False, True), ("0.0.0.0", True, True), ("0.0.0.0", False, True)],
)
def test_without_a_token_names_of_other_computers_are_refused_where_none_is_meant(monkeypatch, ip, no_token, elsewhere):
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    made = settings(Namespace(ip=ip, port=8866, theme="light", no_token=no_token))
    assert made.Voila.tornado_settings["allow_remote_access"] is elsewhere
    assert made.Voila.auto_token is not no_token


def test_it_says_who_can_do_what(tmp_path):
    here, beyond = (" ".join(exposure(tmp_path, confined, token=True)) for confined in (False, True))
    assert "Only this computer can reach it" in here
    assert "whatever you can" in here
    assert "other computers can reach it" in beyond
    assert f"files below {tmp_path}" in beyond
    assert "token" not in " ".join(exposure(tmp_path, True, token=False))


def test_what_cannot_be_served_is_refused_with_a_sentence(capsys, tmp_path, monkeypatch):
    assert "there is no folder" in refused(capsys, tmp_path / "nowhere")
    assert "--port must lie between 1 and 65535, got 70000" in refused(capsys, tmp_path, "--port", 70000)
    assert "--ip must be an address" in refused(capsys, tmp_path, "--ip", "not an address")
    monkeypatch.setitem(sys.modules, "voila.app", None)
    assert "pip install 'so3lab[app]'" in refused(capsys, tmp_path)
