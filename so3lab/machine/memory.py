"""How to make the C library keep freed memory, so that XLA's temporary arrays are not page-faulted anew."""

import ctypes
import platform
import sys

# mallopt's parameters, from glibc's malloc.h
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_LARGEST = 2**31 - 1


def keep_memory() -> bool:
    """Tell glibc's malloc to keep what is freed, for the rest of this process.

    XLA allocates its temporary arena at every call on CPU. glibc serves large requests by ``mmap``
    and gives them back at once, so every call pays for fresh pages. Here large requests come from
    one heap that is never trimmed. The process then keeps the memory of its largest call.

    Returns:
        Whether the C library is glibc and took the settings; elsewhere nothing happens.
    """
    if sys.platform != "linux" or platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _MMAP_THRESHOLD: 1 << 30,
        _TRIM_THRESHOLD: _LARGEST,
        _TOP_PAD: 64 << 20,
        _ARENA_MAX: 1,  # the heaps of further arenas end at 64 MB and are unmapped when empty
    }
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())
