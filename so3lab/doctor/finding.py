"""What one check says."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Result of one check."""

    name: str
    """What was looked at."""
    ok: bool | None
    """``True`` fine, ``False`` must be mended, ``None`` worth knowing."""
    message: str
    """One sentence."""
    remedy: str = ""
    """What to do, empty if nothing."""
