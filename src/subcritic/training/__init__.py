"""The training loop and what guards it: checkpoints, evaluation, the divergence watch."""

from subcritic.training.divergence import DivergenceWatch, due
from subcritic.training.evaluation import Evaluator
from subcritic.training.trainer import Observer, Trainer

__all__ = ["DivergenceWatch", "Evaluator", "Observer", "Trainer", "due"]
