"""Is this machine fit: versions, devices, a compiler that computes right, the notebook stack, room."""

from so3lab.doctor.checks import check
from so3lab.doctor.compiler import SOUND_JAX, compiler_selftest, require_sound_compiler
from so3lab.doctor.finding import Finding

__all__ = ["SOUND_JAX", "Finding", "check", "compiler_selftest", "require_sound_compiler"]
