"""How a public set reaches this machine: resumed after interruptions, checked, complete or not at all."""

import datetime
import hashlib
import http.client
import json
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from so3lab.datasets.readers import unpack_xz
from so3lab.datasets.sources import (
    BUNDLED,
    PublicSet,
    bundled_file,
    canonical,
    download_folder,
    public_sets,
    unknown_name,
)
from so3lab.machine.files import DownloadError, atomic_write, file_lock

CHUNK = 1 << 18
TIMEOUT_S = 60.0
CHECKSUMS = "checksums.json"
"""In the download folder: what each file's first download had, for files without a published checksum."""

OnBytes = Callable[[int, int | None], object]
"""Called with the bytes that are here and the bytes in all, None where the server does not say."""


def fetch(
    name: str,
    *,
    progress: OnBytes | None = None,
    folder: str | Path | None = None,
    base_url: str | None = None,
) -> Path:
    """Make the file of a catalogue set available on this machine and say where it is.

    A set that is already here is not downloaded again. An interrupted download goes on where it
    stopped. Two processes that want the same file wait for each other. Where the publisher gives no
    checksum, the first download's is recorded in ``checksums.json`` beside the files, and later
    downloads must agree with it.

    Args:
        name: A name of `catalogue`.
        progress: Called as ``progress(done_bytes, total_bytes)`` while downloading; the total is
            None where the server does not say.
        folder: Where to keep the file; the user's cache unless given.
        base_url: A mirror that holds the files under their own names; the environment variable
            ``SO3LAB_DATA_URL`` does the same.

    Raises:
        DownloadError: If it cannot be downloaded, is incomplete or has a wrong checksum.
        ValueError: If the catalogue has no such set.
    """
    spelled = canonical(name)
    if spelled is None:
        raise ValueError(unknown_name(name))
    if spelled in BUNDLED:
        return bundled_file(spelled)
    entry = public_sets()[spelled]
    target_folder = Path(folder).expanduser() if folder is not None else download_folder()
    target = target_folder / entry.file
    archive = target_folder / entry.download
    if target.is_file() and (archive != target or _known(target)):
        return target
    target_folder.mkdir(parents=True, exist_ok=True)
    with file_lock(target_folder / f"{entry.download}.lock"):
        if not archive.is_file():
            _download(entry, archive, progress, base_url or os.environ.get("SO3LAB_DATA_URL"))
        elif not _known(archive):  # placed by hand
            _require_checksum(entry, archive, archive)
        if not target.is_file():
            _unpack(entry, archive, target)
    return target


def _download(entry: PublicSet, target: Path, progress: OnBytes | None, base_url: str | None) -> None:
    url = entry.url if base_url is None else f"{base_url.rstrip('/')}/{entry.download}"
    part = target.with_name(target.name + ".part")
    try:
        _transfer(url, part, progress)
    except urllib.error.HTTPError as error:
        raise DownloadError(_sorry(entry, target, url, f"the server answered {error.code} {error.reason}")) from error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(_sorry(entry, target, url, str(reason))) from error
    _require_checksum(entry, part, target)
    os.replace(part, target)
    _validator(part).unlink(missing_ok=True)


def _sorry(entry: PublicSet, target: Path, url: str, reason: str) -> str:
    return (
        f"{entry.name!r} could not be downloaded from {url}: {reason}. Run it again to go on where it "
        f"stopped, or download that address with another program or machine and place it as {target}"
    )


def _transfer(url: str, part: Path, progress: OnBytes | None) -> None:
    """Fetch ``url`` into ``part``, going on from what is there if the server still has the same file."""
    have = part.stat().st_size if part.is_file() else 0
    stamp = _validator(part).read_text() if have and _validator(part).is_file() else ""
    headers = {"User-Agent": "so3lab"}
    if stamp:
        headers |= {"Range": f"bytes={have}-", "If-Range": stamp}
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        part.unlink()  # nothing is left to send: the file changed, or we died before using it
        return _transfer(url, part, progress)
    with response:
        if response.status not in (http.client.OK, http.client.PARTIAL_CONTENT):
            raise OSError(f"the server answered {response.status} and sent no file")
        resumed = response.status == http.client.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise OSError(f"the server sent another part than asked: {response.headers.get('Content-Range')}")
        done = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        if not resumed:
            _validator(part).write_text(_identity(response.headers))
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
    if total is not None and done != total:
        raise OSError(f"the transfer ended after {done} of {total} bytes")


def _identity(headers: http.client.HTTPMessage) -> str:
    """What identifies this version of the file to the server; empty when nothing does."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _validator(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _require_checksum(entry: PublicSet, file: Path, target: Path) -> None:
    """Compare with the published checksum, or with the one recorded for ``target`` first; then record."""
    digests = _digests(file)
    if entry.checksum is not None:
        method, _, expected = entry.checksum.partition(":")
        source, remedy = "its publisher states", ""
    else:
        method = "sha256"
        expected = str(_recorded(target.parent).get(target.name, {}).get("sha256", digests["sha256"]))
        source = "its first download had"
        remedy = f"; if its publisher replaced it, remove its entry from {target.parent / CHECKSUMS}"
    if digests[method] != expected:
        if file != target:
            file.unlink()
            _validator(file).unlink(missing_ok=True)
        else:
            remedy += f"; delete {target} first"
        raise DownloadError(
            f"{target.name} has {method} {digests[method]}, but {source} {expected}: it is damaged or "
            f"another file. Download it again{remedy}"
        )
    _record(target, digests["sha256"], file.stat().st_size, entry.url)


def _digests(file: Path) -> dict[str, str]:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            md5.update(chunk)
            sha256.update(chunk)
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


def _recorded(folder: Path) -> dict[str, dict[str, object]]:
    try:
        return json.loads((folder / CHECKSUMS).read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise DownloadError(f"{folder / CHECKSUMS} is damaged; delete it") from None


def _known(file: Path) -> bool:
    return _recorded(file.parent).get(file.name, {}).get("bytes") == file.stat().st_size


def _record(target: Path, sha256: str, size: int, url: str) -> None:
    folder = target.parent
    with file_lock(folder / f"{CHECKSUMS}.lock"):
        today = datetime.date.today().isoformat()
        entry = {"sha256": sha256, "bytes": size, "url": url, "date": today}
        entries = _recorded(folder) | {target.name: entry}
        with atomic_write(folder / CHECKSUMS) as file:
            file.write_text(json.dumps(entries, indent=1, sort_keys=True))


def _unpack(entry: PublicSet, archive: Path, target: Path) -> None:
    """Make ``target`` from the downloaded file, where they are not the same."""
    if archive == target:
        return
    try:
        with atomic_write(target) as unpacked:
            if archive.suffix == ".xz":
                unpack_xz(archive, unpacked)
            else:
                _extract_member(archive, str(entry.member), unpacked)
    except (ValueError, tarfile.TarError, EOFError, OSError) as error:
        raise DownloadError(f"{archive} could not be unpacked ({error}); delete it and run it again") from error


def _extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one file of a tar archive to ``target``; names inside the archive decide no path here."""
    with tarfile.open(archive) as packed:
        for item in packed:
            if item.name.removeprefix("./") == member:
                stream = packed.extractfile(item) if item.isreg() else None
                if stream is None:
                    raise ValueError(f"{member} is not a plain file")
                with stream, target.open("wb") as file:
                    while chunk := stream.read(CHUNK):
                        file.write(chunk)
                return
    raise ValueError(f"it has no {member}")
