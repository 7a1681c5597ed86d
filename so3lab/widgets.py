"""The widgets under the library's name: ``from so3lab.widgets import DynamicsPanel``."""

import sys

try:
    import so3lab_widgets
except ImportError as error:
    raise ImportError(f"so3lab.widgets needs the notebook packages ({error}); pip install so3lab") from error

sys.modules[__name__] = so3lab_widgets
