"""How does somebody get at a file that a panel has written? By links that JupyterLab opens and a browser downloads."""

import html
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

_READABLE = (".csv", ".extxyz", ".gif", ".html", ".pdb", ".png", ".py", ".xyz")
"""Endings of files that JupyterLab has a view of; others are downloaded only."""
_LOOKS = 'style="color: var(--jp-content-link-color, #0072b2); text-decoration: underline"'
"""JupyterLab gives the words of widgets no look of a link."""


def links_to(file: Path) -> str:
    """Links to a file as HTML.

    A click opens the file in JupyterLab, which runs the command that a link names; other pages follow the address.

    Returns:
        Nothing where the kernel was started by no Jupyter server of this computer, or the file is not below its folder.
    """
    server, found = _server(), file.resolve()
    if server is None or not found.is_relative_to(root := Path(server["root_dir"]).resolve()):
        return ""
    below = found.relative_to(root).as_posix()
    address = html.escape(f"{server['base_url']}files/{quote(below)}")
    download = f'<a href="{address}?download=1" download {_LOOKS}>Download</a>'
    if file.suffix not in _READABLE:
        return download
    command = f'data-commandlinker-command="docmanager:open" data-commandlinker-args="{_quoted({"path": below})}"'
    return f'<a href="{address}" target="_blank" {command} {_LOOKS}>Open</a> · {download}'


def _server() -> dict[str, Any] | None:
    """What the server that has started this kernel says of itself to programs of its user."""
    from jupyter_core.paths import jupyter_runtime_dir

    number = os.environ.get("JPY_PARENT_PID") or os.getppid()
    about = Path(jupyter_runtime_dir(), f"jpserver-{number}.json")
    return json.loads(about.read_text("utf-8")) if about.is_file() else None


def _quoted(arguments: dict[str, str]) -> str:
    return html.escape(json.dumps(arguments))
