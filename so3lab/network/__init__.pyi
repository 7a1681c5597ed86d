from .settings import ModelSettings as ModelSettings
from .settings import preset as preset
from .so3krates import NetworkOutput as NetworkOutput
from .so3krates import So3krates as So3krates
