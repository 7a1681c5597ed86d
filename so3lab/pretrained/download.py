"""How SO3LR's published parameters reach this machine: installed already, placed by hand, or through the package index.

The only carrier is the wheel of so3krates-torch, 3 MB; PyTorch and the wheel's other dependencies are neither
fetched nor imported. pip does the transfer, so mirrors, proxies and credentials are those the user's pip has.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from so3lab.machine.files import DownloadError
from so3lab.pretrained.published import (
    MEMBER,
    MEMBER_SHA256,
    PACKAGE,
    VERSION,
    WHEEL,
    WHEEL_BYTES,
    WHEEL_SHA256,
)

TIMEOUT_S = 600.0
MODEL = Path(MEMBER).name
Tell = Callable[[str], object]


def model_in(folder: Path) -> bytes | None:
    """The published model file from a folder that holds it, the wheel, or an installed package; None without any.

    Raises:
        ValueError: If there is such a file, but it is truncated or altered.
    """
    for file in (folder / MODEL, folder / MEMBER):
        if file.is_file():
            return _verified(file.read_bytes(), MEMBER_SHA256, file)
    if (folder / WHEEL).is_file():
        return model_in_wheel(folder / WHEEL)
    return None


def model_in_wheel(wheel: Path) -> bytes:
    """The model file inside the wheel; both are compared with their published checksums.

    Raises:
        ValueError: If the wheel is truncated or altered.
    """
    _verified(wheel.read_bytes(), WHEEL_SHA256, wheel)
    with zipfile.ZipFile(wheel) as archive:
        return _verified(archive.read(MEMBER), MEMBER_SHA256, wheel / MEMBER)


def installed_model() -> bytes | None:
    """The published model file of an installed so3krates-torch, which is found but not imported; None without it."""
    try:
        found = importlib.util.find_spec(MEMBER.split("/")[0])
    except (ImportError, ValueError):
        return None
    for folder in (found.submodule_search_locations or []) if found else []:
        file = Path(folder).parent / MEMBER
        if file.is_file() and hashlib.sha256(data := file.read_bytes()).hexdigest() == MEMBER_SHA256:
            return data
    return None


def fetched_model(place: Path, tell: Tell) -> bytes:
    """The model file out of the wheel, which is fetched through the package index that this machine is set up for.

    Args:
        place: Where the wheel may be placed by hand instead; also where temporary files go.
        tell: Called with a sentence at each step.

    Raises:
        DownloadError: If no way works.
        ValueError: If what arrives is not the published file.
    """
    tell(f"fetching SO3LR's published parameters ({WHEEL_BYTES / 1e6:.1f} MB) through the package index ...")
    problems = []
    for name, command in ways_to_fetch():
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=place) as temporary:
            started = time.monotonic()
            problem = _run([*command, temporary, f"{PACKAGE}=={VERSION}"])
            if problem is None and (data := model_in(Path(temporary))) is not None:
                tell(f"fetched by {name} in {time.monotonic() - started:.0f} s, checksums agree")
                return data
            problems.append(f"{name}: {problem or 'it fetched another file'}")
    reason = "; ".join(problems) or "neither pip nor uv was found"
    raise DownloadError(
        f"SO3LR's parameters could not be fetched ({reason}). On a machine with network, run 'pip download --no-deps "
        f"{PACKAGE}=={VERSION}' and place {WHEEL} as {place / WHEEL}, or give its folder: "
        "so3lab.load_so3lr(folder)"
    )


def ways_to_fetch() -> Iterator[tuple[str, list[str]]]:
    """Programs that can fetch a wheel into a folder; the folder and the requirement follow as last arguments.

    uv unpacks what it fetches, so that the model file alone can be verified, and by uv the wheel.
    """
    download = [
        "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-input", "--retries=2",
        "--disable-pip-version-check", "--progress-bar=off", "--dest",
    ]  # fmt: skip
    if importlib.util.find_spec("pip") is not None:
        yield "pip", [sys.executable, "-m", "pip", *download]
    else:
        for wheel in _bundled_pips():
            yield "Python's bundled pip", [sys.executable, str(wheel / "pip"), *download]
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"):
        yield "uv", [uv, "pip", "install", "--quiet", "--no-deps", "--python", sys.executable, "--target"]
    if importlib.util.find_spec("pip") is None and (pip := shutil.which("pip")):
        yield pip, [pip, *download]


def _bundled_pips() -> Iterator[Path]:
    """pip as a wheel that travels with Python for new environments; it runs without being installed."""
    folders = [sysconfig.get_config_var("WHEEL_PKG_DIR")]
    if (ensurepip := importlib.util.find_spec("ensurepip")) and ensurepip.origin:
        folders.append(Path(ensurepip.origin).parent / "_bundled")
    for folder in folders:
        if folder:
            yield from sorted(Path(folder).glob("pip-*.whl"))[-1:]


def _run(command: list[str]) -> str | None:
    """None if the program succeeded, or in a line why not."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT_S:.0f} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [f"exit status {done.returncode}"])[-1][:300]


def _verified(data: bytes, sha256: str, file: Path) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{file} is truncated or altered: its sha256 is {found}, but the published file has {sha256}; "
            "delete it and fetch it again"
        )
    return data
