"""``so3lab app``: the lab as a page of its own, served by Voilà: everything is clicked, and no code is seen."""

import argparse
import ipaddress
import json
import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

from so3lab.app.console import Console

THEMES = ("light", "dark")
_HERE = "127.0.0.1"
_PAGE = Path(__file__).with_name("voila_page")
"""Where the template lies that goes before Voilà's own."""
_LEFT_OUT = ("@jupyter-notebook/lab-extension", "@voila-dashboards/jupyterlab-preview", "jupyterlab_pygments")
"""Extensions of JupyterLab that a page without a notebook has no place for."""
_LOST_AFTER_S = 3600
"""A kernel whose page has gone without a word ends after so long."""
_CELL = """\
import os
from so3lab_widgets.confinement import confine
from so3lab_widgets.panels.when_seen import WhenSeen
os.chdir({folder!r})
{confine}def make():
    from so3lab_widgets import Lab
    return Lab({arguments})
WhenSeen(make, "The lab is being opened …")"""


def add_commands(commands, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "app",
        help="open the lab as an application",
        description="Open the lab as a page of its own, without code. Each page has its own kernel, which ends with "
        "it; files of the folder are everybody's. The address holds a token, anew at each start unless "
        "JUPYTER_TOKEN says which; who has it can use the lab. On this computer alone, panels read and write whatever "
        "you can; with --ip beyond it, only what lies below the folder. Needs Voilà: pip install 'so3lab[app]'.",
        examples=[
            "so3lab app", "so3lab app mine --model so3lr --structure smiles:CCO",
            "so3lab app class --ip 0.0.0.0 --port 8899",
        ],
    )  # fmt: skip
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", type=Path, default=Path("."),
        help="whose files the lab works with (default: this one)",
    )  # fmt: skip
    parser.add_argument("--model", help="to begin with: a bundled name, a file below DIR, or so3lr (default: ala2)")
    parser.add_argument(
        "--structure", help="to begin with: a bundled name, a file below DIR, or smiles: and a SMILES (default: ala2)"
    )
    parser.add_argument("--port", type=int, default=8866, help="where it listens; the next free one if it is taken")
    parser.add_argument("--ip", default=_HERE, metavar="ADDRESS", help="of this computer; 0.0.0.0 for all it has")
    parser.add_argument("--theme", choices=THEMES, default="light", help="colours of the page")
    parser.add_argument("--no-browser", action="store_true", help="open no browser here")
    parser.add_argument(
        "--no-token",
        action="store_true",
        help="let everybody in who can reach the port, such as users of this computer",
    )
    parser.set_defaults(run=run_app)


def run_app(options: argparse.Namespace, console: Console) -> int:
    """Serve the lab until Ctrl-C or a SIGTERM."""
    folder = _checked(options)
    voila = _voila()
    confined = not is_local(options.ip)
    for sentence in exposure(folder, confined, token=not options.no_token):
        console.say(sentence)
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="so3lab-app-") as place:
        page = Path(place) / "so3lab.ipynb"
        page.write_text(json.dumps(notebook(folder, options.model, options.structure, confined)))
        server = voila(config=settings(options))
        server.initialize([str(page)])
        server.template_paths.insert(0, str(_PAGE))
        _once_it_listens(lambda: _tell(server, console, open_browser=not options.no_browser))
        server.start()
    return 0


def notebook(folder: Path, model: str | None, structure: str | None, confined: bool) -> dict[str, Any]:
    """The notebook that is served, as JSON: one cell that makes the lab.

    Args:
        folder: In which it works.
        model, structure: To begin with; the lab's own unless given.
        confined: Whether its panels read and write only below the folder.
    """
    named = [f"{name}={value!r}" for name, value in (("model", model), ("structure", structure)) if value is not None]
    confine = f"confine({str(folder)!r})\n" if confined else ""
    source = _CELL.format(folder=str(folder), confine=confine, arguments=", ".join(named))
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "lab",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }
    about = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "title": f"so3lab · {folder.name}",
    }
    return {"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def exposure(folder: Path, confined: bool, token: bool) -> list[str]:
    """What can be done by whom, in sentences.

    Args:
        folder: In which the lab works.
        confined: Whether others than this computer's users can reach it.
        token: Whether its address holds one.
    """
    who = "who has the address with its token" if token else "who can reach the port"
    if not confined:
        whose = "Only this computer can reach it" + ("" if token else ", all of its users without a token")
        return [
            f"The lab works in {folder}. {whose}.",
            f"Everybody {who} computes here, and reads and writes whatever you can.",
        ]
    return [
        f"The lab works in {folder}, and other computers can reach it. Traffic is not encrypted.",
        f"Everybody {who} computes on this computer, reads and writes the files below {folder}, which all "
        f"share, and lets it fetch published models and data. Panels touch no other files, and no code can be sent.",
    ]


def is_local(ip: str) -> bool:
    """Whether an address can be reached from this computer alone.

    Raises:
        ValueError: If it is no address.
    """
    if not ip or ip == "*":
        return False
    try:
        found = {ipaddress.ip_address(ip)}
    except ValueError:
        try:
            found = {ipaddress.ip_address(known[4][0]) for known in socket.getaddrinfo(ip, None)}
        except OSError as error:
            raise ValueError(f"--ip must be an address of this computer such as 0.0.0.0, got {ip!r}") from error
    return all(one.is_loopback for one in found)


def _checked(options: argparse.Namespace) -> Path:
    folder = options.folder.expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {options.folder}; make it, or leave DIR out for this one")
    if not 1 <= options.port <= 65535:
        raise ValueError(f"--port must lie between 1 and 65535, got {options.port}")
    return folder


def _voila() -> Any:
    """The class of Voilà's server.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        from voila.app import Voila
    except ImportError as error:
        raise ImportError(f"so3lab app needs Voilà: pip install 'so3lab[app]' ({error})") from error
    return Voila


def settings(options: argparse.Namespace) -> Any:
    """As Voilà's own options would have them; a token that JUPYTER_TOKEN holds is not written anywhere."""
    from traitlets.config import Config

    found = Config()
    found.Voila.ip, found.Voila.port = options.ip, options.port
    found.Voila.log_level = "WARN"
    found.Voila.open_browser = False  # it would open the address without its token
    found.Voila.auto_token = not options.no_token
    found.VoilaConfiguration.theme = options.theme
    found.VoilaConfiguration.extension_denylist = list(_LEFT_OUT)
    found.VoilaConfiguration.show_tracebacks = False
    # A page that closes says so without the word that jupyter_server asks for; its kernel's name is nobody's guess.
    # Where no token keeps strangers out, a web site may not pass for this computer by giving its own name this address.
    elsewhere = not (options.no_token and is_local(options.ip))
    found.Voila.tornado_settings = {"disable_check_xsrf": True, "allow_remote_access": elsewhere}
    found.MappingKernelManager.cull_idle_timeout = _LOST_AFTER_S
    if options.no_token:
        os.environ.pop("JUPYTER_TOKEN", None)
    return found


def _once_it_listens(act: Callable[[], None]) -> None:
    from tornado.ioloop import IOLoop

    IOLoop.current().add_callback(act)


def _tell(server: Any, console: Console, open_browser: bool) -> None:
    """Print the address, with its token unless JUPYTER_TOKEN chose it, and open it here."""
    console.line(f"Open {server.display_url} (Ctrl-C ends the lab)")
    sys.stdout.flush()
    if open_browser:
        token = server.identity_provider.token
        webbrowser.open(f"{server.connection_url}?token={token}" if token else server.connection_url)
