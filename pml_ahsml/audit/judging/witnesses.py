"""What features say about the class of each sample, never asking the sample itself."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor

from .beliefs import Beliefs, frequencies, taken_as_given
from .class_densities import ClassDensities
from .neighbours import log_votes, nearest_others

# Most classes in question for one sample. With 150 classes and labels by a weak classifier, the
# true class is among the 64 best in 99.8 % of the cases.
_MOST_CLASSES = 64

# What a sample has a part in, other than the mean of a class, leaves out a tenth of the samples.
_FOLDS = 10

Progress = Callable[[str, int, int], None]


class FeatureWitnesses:
    """Classes as Gaussians, and the nearest samples: two witnesses that see different things.

    Gaussian classes see what most samples of a class have in common, and cannot learn single labels
    by heart. Neighbours see classes of any shape.

    Args:
        points: (N, D), rows of norm 1.
        labels: (N,) labels as given.
        num_classes: K.
        k: number of neighbours.
        groups: (N,) integers; samples of one group do not speak about each other. None for none.
        progress: told of each step that is done.
    """

    def __init__(
        self,
        points: Tensor,
        labels: Tensor,
        num_classes: int,
        k: int,
        groups: Tensor | None,
        progress: Progress,
    ) -> None:
        self.points, self.num_classes = points, num_classes
        self.neighbours = nearest_others(points, k, groups)
        progress("neighbours", 1, 1)
        self.folds = _folds(points) if groups is None else _folds_of_groups(groups)
        self.has_groups = groups is not None
        first = taken_as_given(labels[:, None], labels)
        count = min(_MOST_CLASSES, num_classes)
        #: (N, C) the classes in question for each sample
        self.classes = ClassDensities(points, first, num_classes).nearest(labels, count)

    def ask(self, beliefs: Beliefs) -> list[Tensor]:
        """Ask both, given what is believed about the classes of the *other* samples.

        Args:
            beliefs: about each sample, for the classes in question.

        Returns:
            (N, C) log-evidence of each witness.
        """
        densities, votes = (torch.empty(self.classes.shape) for _ in range(2))
        of_all = ClassDensities(self.points, beliefs, self.num_classes)
        for rows in self.folds:
            others, classes = beliefs.without(rows), self.classes[rows]
            fitted = of_all
            if self.has_groups:
                fitted = ClassDensities(self.points, others, self.num_classes)
            densities[rows] = fitted.log_densities(classes, rows)
            shares = frequencies(others, self.num_classes)
            votes[rows] = log_votes(self.neighbours[rows], beliefs, classes, shares)
        return [densities, votes]


class GivenProbabilities:
    """Class probabilities that a classifier gave for samples it had not seen.

    Args:
        probabilities: (N, K) class probabilities.
    """

    def __init__(self, probabilities: Tensor) -> None:
        self.probabilities = probabilities

    def ask(self, classes: Tensor) -> Tensor:
        """(N, C) logarithms of the probabilities of some classes."""
        chosen = self.probabilities.gather(1, classes)
        return chosen.clamp_min(torch.finfo(chosen.dtype).tiny).log()


def _folds(points: Tensor) -> list[Tensor]:
    """Rows of each fold. They depend on the samples and not on their order.

    Every tenth sample along a direction: like samples are in different folds.
    """
    order = points.sum(1).argsort(stable=True)
    return [order[start::_FOLDS] for start in range(min(_FOLDS, len(points)))]


def _folds_of_groups(groups: Tensor) -> list[Tensor]:
    folds = GroupKFold(min(_FOLDS, len(groups.unique())))
    split = folds.split(np.zeros(len(groups)), groups=groups.numpy())
    return [torch.from_numpy(rows) for _, rows in split]
