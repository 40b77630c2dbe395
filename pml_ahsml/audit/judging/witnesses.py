"""What features say about the class of each sample, never asking the sample itself."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from sklearn.model_selection import GroupKFold
from torch import Tensor

from .beliefs import Beliefs, taken_as_given
from .class_densities import ClassDensities
from .neighbours import log_votes, nearest_others

# Most classes in question for one sample. The true class is among the 64 best in 99.9 % of the
# cases on 150 classes.
_MOST_CLASSES = 64

# With groups, a group is left out together with about a tenth of the others.
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
        self.folds = _folds(groups, len(points))
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
        votes = log_votes(self.neighbours, beliefs, self.classes, self.num_classes)
        return [self._densities(beliefs), votes]

    def _densities(self, beliefs: Beliefs) -> Tensor:
        if self.folds is None:
            densities = ClassDensities(self.points, beliefs, self.num_classes)
            return densities.log_densities(self.classes, torch.arange(len(self.points)))
        found = torch.empty(self.classes.shape)
        for rows in self.folds:
            weights = beliefs.weights.clone()
            weights[rows] = 0
            others = Beliefs(beliefs.classes, weights)
            densities = ClassDensities(self.points, others, self.num_classes)
            found[rows] = densities.log_densities(self.classes[rows], rows)
        return found


class GivenProbabilities:
    """Class probabilities that a classifier gave for samples it had not seen.

    Args:
        probabilities: (N, K) class probabilities.
        labels: (N,) labels as given.
    """

    def __init__(self, probabilities: Tensor, labels: Tensor) -> None:
        count = min(_MOST_CLASSES, probabilities.shape[1])
        own = probabilities.scatter(1, labels[:, None], torch.inf)
        #: (N, C) the classes in question for each sample
        self.classes = own.topk(count).indices.sort(1).values
        self.probabilities = probabilities

    def ask(self, classes: Tensor) -> Tensor:
        """(N, C) logarithms of the probabilities of some classes."""
        chosen = self.probabilities.gather(1, classes)
        return chosen.clamp_min(torch.finfo(chosen.dtype).tiny).log()


def _folds(groups: Tensor | None, length: int) -> Sequence[Tensor] | None:
    if groups is None:
        return None
    folds = GroupKFold(min(_FOLDS, len(groups.unique())))
    split = folds.split(np.zeros(length), groups=groups.numpy())
    return [torch.from_numpy(rows) for _, rows in split]
