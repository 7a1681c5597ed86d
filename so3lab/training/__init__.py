"""From labelled frames to a trained potential: settings, the loop, evaluation."""

from so3lab.training.evaluation import Evaluation, evaluate
from so3lab.training.loop import EpochReport, train
from so3lab.training.settings import TrainingSettings

__all__ = ["EpochReport", "Evaluation", "TrainingSettings", "evaluate", "train"]
