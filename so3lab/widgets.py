"""The widgets under the library's name: ``from so3lab.widgets import DynamicsPanel``."""

import sys
from typing import TYPE_CHECKING

try:
    import so3lab_widgets
except ImportError as error:
    raise ImportError(f"so3lab.widgets needs the notebook packages ({error}); pip install so3lab") from error

if TYPE_CHECKING:
    from so3lab_widgets import *  # noqa: F403

sys.modules[__name__] = so3lab_widgets
