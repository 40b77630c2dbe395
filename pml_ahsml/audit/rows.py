"""Rows of the tables of an audit. ``pandas.DataFrame(rows)`` takes a list of any of them."""

from typing import NamedTuple

from torch import Tensor


class Suspect(NamedTuple):
    """A sample whose label is doubted.

    Args:
        index: row of the data set.
        name: name of the sample; "" without names.
        given: name of the class it is labelled as.
        suggested: name of the likeliest class.
        trust: probability that the label is right.
        confidence: probability of the suggested class.
        agreeing: nearest samples with the same label, nearest first.
        disagreeing: nearest samples with other labels, nearest first.
        is_of_no_class: it seems to belong to none of the classes.
    """

    index: int  # type: ignore[assignment]  # hides the method of tuples
    name: str
    given: str
    suggested: str
    trust: float
    confidence: float
    agreeing: tuple[int, ...]
    disagreeing: tuple[int, ...]
    is_of_no_class: bool = False


class ClassSummary(NamedTuple):
    """What an audit says of the samples labelled as one class.

    Args:
        name: of the class.
        size: number of samples labelled so.
        doubted: share of them that is doubted; nan for an empty class.
        confused_with: the class suggested most often for them; "" if no other class is.
        missing: number of samples labelled as other classes that are suggested to be of this one.
    """

    name: str
    size: int
    doubted: float
    confused_with: str
    missing: int


class Confusion(NamedTuple):
    """Two classes, and how many samples of one seem to be labelled as the other.

    Args:
        given: name of the class that they are labelled as.
        suggested: name of the class that they seem to be of.
        count: number of such samples.
        reverse: number of samples labelled ``suggested`` that seem to be ``given``.
    """

    given: str
    suggested: str
    count: int  # type: ignore[assignment]
    reverse: int


class Duplicate(NamedTuple):
    """Two samples that lie at almost the same place and have different labels.

    Args:
        first: row of the data set.
        second: row of the data set, larger than ``first``.
        first_label: name of the class that the first is labelled as.
        second_label: name of the class that the second is labelled as.
        similarity: cosine of their embeddings.
    """

    first: int
    second: int
    first_label: str
    second_label: str
    similarity: float


class Cleaned(NamedTuple):
    """Labels to train on.

    Args:
        labels: (N,) integers.
        mask: (N,) bool, the samples to train on.
    """

    labels: Tensor
    mask: Tensor
