"""What features say about the class of each sample, never asking the sample itself."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor

from .beliefs import Beliefs, frequencies, taken_as_given
from .class_densities import ClassDensities
from .neighbours import MANY, log_votes, nearest_others

# Most classes in question for one sample. With 150 classes and labels by a weak classifier, the
# true class is among the 64 best in 99.8 % of the cases.
_MOST_CLASSES = 64

# With many samples memory and time are short, and there are enough of them to do with fewer.
_MOST_CLASSES_OF_MANY = 32

# Places among them for the classes that a classifier takes to be likeliest.
_FROM_CLASSIFIER = 16

# What a sample has a part in, other than the mean of a class, leaves out a tenth of the samples,
# and half of them if they are many.
_FOLDS, _FOLDS_OF_MANY = 10, 2

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
        likeliest: (N, M) classes that come into question in any case. None for none.
    """

    def __init__(
        self,
        points: Tensor,
        labels: Tensor,
        num_classes: int,
        k: int,
        groups: Tensor | None,
        progress: Progress,
        likeliest: Tensor | None = None,
    ) -> None:
        self.points, self.num_classes = points, num_classes
        self.neighbours = nearest_others(points, k, groups)
        progress("neighbours", 1, 1)
        self.folds = _folds(points) if groups is None else _folds_of_groups(groups)
        self.has_groups = groups is not None
        first = taken_as_given(labels[:, None], labels)
        most = _MOST_CLASSES if len(points) < MANY else _MOST_CLASSES_OF_MANY
        wanted = labels[:, None]
        if likeliest is not None:
            wanted = torch.cat([wanted, likeliest], 1)
        #: (N, C) the classes in question for each sample
        self.classes = ClassDensities(points, first, num_classes).nearest(
            wanted, min(most, num_classes)
        )

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

    def likeliest(self) -> Tensor:
        """(N, M) the likeliest classes, which must come into question."""
        return self.probabilities.topk(min(_FROM_CLASSIFIER, self.probabilities.shape[1])).indices

    def ask(self, classes: Tensor) -> Tensor:
        """(N, C) logarithms of the probabilities of some classes."""
        chosen = self.probabilities.gather(1, classes)
        return chosen.clamp_min(torch.finfo(chosen.dtype).tiny).log()


def _folds(points: Tensor) -> list[Tensor]:
    """Rows of each fold. They depend on the samples and not on their order.

    Every tenth (or second) sample along a direction: like samples are in different folds.
    """
    order = points.sum(1).argsort(stable=True)
    count = _FOLDS if len(points) < MANY else _FOLDS_OF_MANY
    return [order[start::count] for start in range(min(count, len(points)))]


def _folds_of_groups(groups: Tensor) -> list[Tensor]:
    folds = GroupKFold(min(_FOLDS, len(groups.unique())))
    split = folds.split(np.zeros(len(groups)), groups=groups.numpy())
    return [torch.from_numpy(rows) for _, rows in split]
