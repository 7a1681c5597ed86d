"""Which reference sets so3lab knows by name: bundled and public, with theory, licence and citation."""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from so3lab.machine import paths

BUNDLED = ("ethanol", "ala2", "ala3", "ethanol-hot", "ala2-hot", "ala3-hot")
"""Names of the sets that travel with so3lab, each a file ``NAME.npz`` of the data folder."""


@dataclass(frozen=True)
class PublicSet:
    """A published set: where it lies and what is known about it."""

    name: str
    """Its name here."""
    file: str
    """Name in the cache of the file that is read."""
    url: str
    """Address of what is downloaded."""
    frames: int
    """As published; 0 where the publisher does not say."""
    atoms: int
    """As published; 0 where the publisher does not say."""
    level_of_theory: str
    """Method of the energies and forces."""
    energy_unit: str
    """Unit of the file, as its publisher documents it; lengths are in Å."""
    licence: str
    """As the publisher states it."""
    citation: str
    """As the publisher states it."""
    member: str | None = None
    """Path inside the downloaded tar archive, or None."""
    checksum: str | None = None
    """``"md5:..."`` or ``"sha256:..."`` of the download, or None where none is published."""
    download_bytes: int = 0
    """Size of the download; 0 where unknown."""

    @property
    def download(self) -> str:
        """Name in the cache of the file that is downloaded."""
        return self.url.rsplit("/", 1)[-1] if self.member is None else ARCHIVE_NAME


ARCHIVE_NAME = "rmd17.tar.bz2"

_MD17_SITE = "http://www.quantum-machine.org/gdml/data/npz/"
_MD22_SITE = "http://www.quantum-machine.org/gdml/repo/datasets/"
_RMD17_ARCHIVE = "https://figshare.com/ndownloader/files/23950376"
_QM7X_SITE = "https://zenodo.org/records/4288677/files/"
_NOT_STATED = "not stated by the publisher; cite the paper"

_MD17 = {
    "aspirin": (211_762, 21),
    "benzene2017": (627_983, 12),
    "ethanol": (555_092, 9),
    "malonaldehyde": (993_237, 9),
    "naphthalene": (326_250, 18),
    "salicylic": (320_231, 16),
    "toluene": (442_790, 15),
    "uracil": (133_770, 12),
}
_RMD17 = {
    "aspirin": (100_000, 21),
    "azobenzene": (99_988, 24),
    "benzene": (100_000, 12),
    "ethanol": (100_000, 9),
    "malonaldehyde": (100_000, 9),
    "naphthalene": (100_000, 18),
    "paracetamol": (100_000, 20),
    "salicylic": (100_000, 16),
    "toluene": (100_000, 15),
    "uracil": (100_000, 12),
}
_MD22 = {
    "Ac-Ala3-NHMe": (85_109, 42),
    "DHA": (69_753, 56),
    "stachyose": (27_272, 87),
    "AT-AT": (20_001, 60),
    "AT-AT-CG-CG": (10_153, 118),
    "buckyball-catcher": (6_102, 148),
    "double-walled_nanotube": (5_032, 370),
}
_QM7X_MD5 = {
    "1000": "b50c6a5d0a4493c274368cf22285503e",
    "2000": "4418a813daf5e0d44aa5a26544249ee6",
    "3000": "f7b5aac39a745f11436047c12d1eb24e",
    "4000": "26819601705ef8c14080fa7fc69decd4",
    "5000": "85ac444596b87812aaa9e48d203d0b70",
    "6000": "787fc4a9036af0e67c034a30ad854c07",
    "7000": "5ecce00a188410d06b747cb683d8d347",
    "8000": "c893ae88b8f5c32541c3f024fc1daa45",
}


def public_sets() -> dict[str, PublicSet]:
    """The public sets by name."""
    sets = [
        PublicSet(
            f"md17-{molecule}", f"md17_{molecule}.npz", f"{_MD17_SITE}md17_{molecule}.npz", frames, atoms,
            "PBE+TS", "kcal/mol", _NOT_STATED, "Chmiela et al., Science Advances 3, e1603015 (2017)",
        )
        for molecule, (frames, atoms) in _MD17.items()
    ]  # fmt: skip
    sets += [
        PublicSet(
            f"rmd17-{molecule}",
            f"rmd17_{molecule}.npz",
            _RMD17_ARCHIVE,
            frames,
            atoms,
            "PBE/def2-SVP",
            "kcal/mol",
            "CC0-1.0",
            "Christensen and von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020)",
            member=f"rmd17/npz_data/rmd17_{molecule}.npz",
            checksum="md5:cb1a927628d96f2e966025da4fb63d18",
            download_bytes=1_066_301_513,
        )
        for molecule, (frames, atoms) in _RMD17.items()
    ]
    sets += [
        PublicSet(
            f"md22-{molecule.lower().replace('_', '-')}",
            f"md22_{molecule}.npz",
            f"{_MD22_SITE}md22_{molecule}.npz",
            frames,
            atoms,
            "PBE+MBD",
            "kcal/mol",
            _NOT_STATED,
            "Chmiela et al., Science Advances 9, eadf0873 (2023)",
        )
        for molecule, (frames, atoms) in _MD22.items()
    ]
    sets += [
        PublicSet(
            f"qm7x-{part}", f"qm7x_{part}.hdf5", f"{_QM7X_SITE}{part}.xz", 0, 0,
            "PBE0+MBD", "eV", "CC-BY-4.0", "Hoja et al., Scientific Data 8, 43 (2021)", checksum=f"md5:{md5}",
        )
        for part, md5 in _QM7X_MD5.items()
    ]  # fmt: skip
    return {entry.name: entry for entry in sets}


def canonical(name: str) -> str | None:
    """The catalogue's spelling of a name, or None if it has no such set."""
    spelled = name.strip().lower().replace("_", "-")
    return spelled if spelled in BUNDLED or spelled in public_sets() else None


def unknown_name(name: str) -> str:
    """The sentence for a name that is neither in the catalogue nor a file."""
    known = [*BUNDLED, *public_sets()]
    close = difflib.get_close_matches(name.lower().replace("_", "-"), known, n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"names are {', '.join(known)}"
    return f"{name!r} is neither a file nor a set of the catalogue; {hint}"


def bundled_file(name: str) -> Path:
    """Where a bundled set lies.

    Raises:
        FileNotFoundError: If the installation lacks it.
    """
    path = paths.bundled("data") / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"the bundled set {name!r} is missing at {path}; reinstall so3lab")
    return path


def download_folder() -> Path:
    """Where public sets are kept."""
    return paths.cache_folder() / "datasets"


def catalogue() -> pd.DataFrame:
    """All sets that can be loaded by name, one per row.

    Columns: ``name``, ``frames`` and ``atoms`` (missing where the publisher does not say),
    ``level_of_theory``, ``size_MB`` (of the file here, or of the download where known),
    ``licence``, ``citation``, ``where`` (``"bundled"``, ``"cached"`` or ``"remote"``).
    """
    rows = [_bundled_row(name) for name in BUNDLED if (paths.bundled("data") / f"{name}.npz").is_file()]
    rows += [_public_row(entry) for entry in public_sets().values()]
    return pd.DataFrame(rows).astype({"frames": "Int64", "atoms": "Int64"})


def _bundled_row(name: str) -> dict[str, object]:
    path = bundled_file(name)
    with np.load(path, allow_pickle=False) as archive:
        meta = json.loads(str(archive["meta"])) if "meta" in archive.files else {}
        frames, atoms = len(archive["E"]), len(archive["z"])
    return {
        "name": name,
        "frames": frames,
        "atoms": atoms,
        "level_of_theory": meta.get("level_of_theory", ""),
        "size_MB": path.stat().st_size / 1e6,
        "licence": meta.get("licence", ""),
        "citation": meta.get("citation", ""),
        "where": "bundled",
    }


def _public_row(entry: PublicSet) -> dict[str, object]:
    path = download_folder() / entry.file
    cached = path.is_file()
    size = path.stat().st_size if cached else entry.download_bytes
    return {
        "name": entry.name,
        "frames": entry.frames or None,
        "atoms": entry.atoms or None,
        "level_of_theory": entry.level_of_theory,
        "size_MB": size / 1e6 if size else np.nan,
        "licence": entry.licence,
        "citation": entry.citation,
        "where": "cached" if cached else "remote",
    }
