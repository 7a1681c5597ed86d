"""SO3LR ready to use: obtained and converted on first use, kept in the cache, checked each time."""

import sys
import tempfile
from pathlib import Path

from so3lab.engine.energy_model import Dtype
from so3lab.machine import paths
from so3lab.machine.files import file_lock
from so3lab.network.settings import Electrostatics
from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential
from so3lab.pretrained.conversion import convert, is_published_so3lr, potential_from_torch
from so3lab.pretrained.download import MODEL, Tell, fetched_model, installed_model, model_in
from so3lab.pretrained.published import SO3LR_CITATION, WHEEL

CREDIT = f"SO3LR is published under the MIT licence; please cite {SO3LR_CITATION}"


def load_so3lr(
    folder: str | Path | None = None,
    dtype: Dtype = "float32",
    electrostatics: Electrostatics = "exact",
    long_range_cutoff: float | None = None,
    *,
    tell: Tell | None = None,
) -> Potential:
    """SO3LR, the pretrained general force field for molecules of H, C, N, O, F, P, S and Cl.

    Without ``folder``, the published parameters (MIT licence) are obtained on first use, from an installed
    so3krates-torch or as its wheel through the package index that pip is set up for, converted, and kept in
    so3lab's cache. PyTorch is not needed.

    Args:
        folder: A folder with the authors' ``params.pkl`` and ``hyperparameters.json``, or with the wheel of
            so3krates-torch or the ``so3lr.model`` from it; then no network is used.
        dtype: Precision to compute in.
        electrostatics: ``"exact"``, ``"wolf"`` or ``"compat"``; see :class:`so3lab.network.settings.ModelSettings`.
        long_range_cutoff: Radius in Å of dispersion and truncated electrostatics; None for no truncation in
            molecules.
        tell: Called with a sentence at each step; standard error unless given.

    Raises:
        FileNotFoundError: If ``folder`` holds none of these files.
        OSError: If nothing is there and nothing can be fetched; the sentence says which file to place where.
        ValueError: If a file is truncated or altered, or an argument is impossible.

    Source: A. Kabylda et al., J. Am. Chem. Soc. 147, 33723 (2025).
    """
    if electrostatics not in ("exact", "wolf", "compat"):
        raise ValueError(f"electrostatics must be 'exact', 'wolf' or 'compat', got {electrostatics!r}")
    potential = _from_cache(tell or _to_stderr) if folder is None else _from_folder(Path(folder).expanduser())
    potential = potential.with_electrostatics(electrostatics, long_range_cutoff)
    return potential if dtype == potential.dtype else potential.astype(dtype)


def cached_model() -> Path:
    """Where the converted SO3LR is kept, and beside which the wheel may be placed by hand."""
    return paths.cache_folder() / "models" / f"so3lr{SUFFIX}"


def _from_folder(folder: Path) -> Potential:
    if (folder / "hyperparameters.json").is_file():
        potential = convert(folder)
        if not is_published_so3lr(potential):
            raise ValueError(
                f"{folder} does not hold the published SO3LR: its parameters or hyperparameters are altered; a "
                "network of your own is read by so3lab.pretrained.convert(folder)"
            )
        return potential
    data = model_in(folder)
    if data is None:
        raise FileNotFoundError(
            f"folder must hold params.pkl and hyperparameters.json, {WHEEL} or {MODEL}, got {folder}, which has none"
        )
    return potential_from_torch(data, MODEL)


def _from_cache(tell: Tell) -> Potential:
    """The cached model; made first where it is missing, or not bit for bit the published network."""
    target = cached_model()
    if (potential := _sound(target)) is not None:
        return potential
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        tell(f"{target.parent} cannot be written ({error.strerror}): SO3LR is not kept; SO3LAB_CACHE names another")
        with tempfile.TemporaryDirectory() as folder:
            potential = potential_from_torch(installed_model() or fetched_model(Path(folder), tell), MODEL)
        tell(CREDIT)
        return potential
    with file_lock(target.with_name("so3lr.lock")):
        if (potential := _sound(target)) is not None:  # another process made it while we waited
            return potential
        if target.exists():
            tell(f"{target} is damaged; it is made again")
            target.unlink()
        data = installed_model() or model_in(target.parent) or fetched_model(target.parent, tell)
        potential = potential_from_torch(data, MODEL)
        potential.save(target)
    tell(f"converted once and kept as {target}")
    tell(CREDIT)
    return potential


def _sound(target: Path) -> Potential | None:
    try:
        potential = Potential.load(target)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return potential if is_published_so3lr(potential) else None


def _to_stderr(sentence: str) -> None:
    print(f"so3lab: {sentence}", file=sys.stderr, flush=True)
