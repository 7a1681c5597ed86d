from . import attention as attention
from . import cluster as cluster
from . import datasets as datasets
from . import dipoles as dipoles
from . import dynamics as dynamics
from . import electrostatics as electrostatics
from . import labels as labels
from . import minima as minima
from . import minimize as minimize
from . import observables as observables
from . import potential as potential
from . import pretrained as pretrained
from . import stability as stability
from . import structures as structures
from . import training as training
from . import trajectory as trajectory
from . import units as units
from . import widgets as widgets
from .network.settings import ModelSettings as ModelSettings
from .network.settings import preset as preset
from .potential.potential import Potential as Potential
from .pretrained.loading import load as load
from .pretrained.so3lr import load_so3lr as load_so3lr
from .training.evaluation import evaluate as evaluate
from .training.loop import train as train
from .training.settings import TrainingSettings as TrainingSettings

__version__: str
