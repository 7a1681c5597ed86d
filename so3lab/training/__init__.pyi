from .evaluation import Evaluation as Evaluation
from .evaluation import TrainedOnWarning as TrainedOnWarning
from .evaluation import evaluate as evaluate
from .loop import EpochReport as EpochReport
from .loop import train as train
from .settings import TrainingSettings as TrainingSettings
