"""Where a potential comes from: a bundled model by its name, a file, or published weights."""

from pathlib import Path

from so3lab.engine.energy_model import Dtype
from so3lab.machine import paths
from so3lab.potential.model_file import SUFFIX
from so3lab.potential.potential import Potential


def load(name_or_path: str | Path, dtype: Dtype = "float32") -> Potential:
    """A potential from a file, a bundled one by name, or the published SO3LR.

    Args:
        name_or_path: A ``.so3.safetensors`` file, one of :func:`bundled_models`, or ``"so3lr"``, which is
            obtained on first use (:func:`so3lab.pretrained.load_so3lr`).
        dtype: Precision to compute in.

    Raises:
        FileNotFoundError: If it is neither; the sentence lists the bundled names.
    """
    if str(name_or_path) == "so3lr":
        from so3lab.pretrained.so3lr import load_so3lr

        return load_so3lr(dtype=dtype)
    models = bundled_models()
    if str(name_or_path) in models:
        return Potential.load(models[str(name_or_path)], dtype)
    if not Path(name_or_path).is_file():
        raise FileNotFoundError(
            f"there is no model file {str(name_or_path)!r}, and no bundled model of that name; "
            f"bundled are: {', '.join(sorted(models)) or 'none'}; "
            "'so3lr' is the published general model"
        )
    return Potential.load(name_or_path, dtype)


def bundled_models() -> dict[str, Path]:
    """Models that travel with so3lab, by name."""
    return {path.name.removesuffix(SUFFIX): path for path in paths.bundled("data").glob(f"*{SUFFIX}")}
