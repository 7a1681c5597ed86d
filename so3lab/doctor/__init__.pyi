from .checks import check as check
from .compiler import SOUND_JAX as SOUND_JAX
from .compiler import compiler_selftest as compiler_selftest
from .compiler import require_sound_compiler as require_sound_compiler
from .finding import Finding as Finding
