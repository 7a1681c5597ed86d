"""What one check says."""

from typing import NamedTuple


class Finding(NamedTuple):
    """Result of one check.

    Attributes:
        name: What was looked at.
        ok: ``True`` fine, ``False`` must be mended, ``None`` worth knowing.
        message: One sentence.
        remedy: What to do, empty if nothing.
    """

    name: str
    ok: bool | None
    message: str
    remedy: str = ""
