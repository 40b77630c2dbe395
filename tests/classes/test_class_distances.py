import pytest
import torch

from pml_ahsml.classes.class_distances import ClassDistances, mean_over_views
from pml_ahsml.classes.nearest_classes import Candidates
from pml_ahsml.classes.neighbourhoods import Neighbourhoods

# the label is class 0; classes 3 and 4 share the last column
CLASSES, WEIGHTS = [[0, 1, 2, 1, 3]], [[1.0, 1.0, 1.0, 0.0, 2.0]]


def among(classes, weights) -> ClassDistances:
    """A sample that is compared with candidates among five classes."""
    columns, none = torch.zeros(1, len(classes[0])), torch.zeros(5, 0)
    candidates = Candidates(torch.tensor(classes), torch.tensor(weights))
    nowhere = Neighbourhoods(none, none)
    seen = torch.ones(5, dtype=torch.bool)
    return ClassDistances(torch.zeros(1, 3), columns, columns, nowhere, seen, candidates)


def test_what_is_on_unlisted_classes_goes_to_the_column_that_represents_them():
    evidence = among(CLASSES, WEIGHTS)
    columns = evidence.for_columns(torch.tensor([[0.1, 0.2, 0.3, 0.15, 0.25]]))
    torch.testing.assert_close(columns, torch.tensor([[0.1, 0.2, 0.3, 0.0, 0.4]]))
    back = evidence.for_all_classes(columns)
    torch.testing.assert_close(back, torch.tensor([[0.1, 0.2, 0.3, 0.2, 0.2]]))


def test_without_such_a_column_the_listed_classes_share_it():
    evidence = among([[0, 1]], [[1.0, 1.0]])
    columns = evidence.for_columns(torch.tensor([[0.1, 0.3, 0.6, 0.0, 0.0]]))
    torch.testing.assert_close(columns, torch.tensor([[0.25, 0.75]]))


def test_nothing_but_unlisted_classes_leaves_the_label_as_given():
    evidence = among([[0, 1]], [[1.0, 1.0]])
    columns = evidence.for_columns(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]))
    assert columns.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("views", [[0, 0, 1], [5, 5, 2]])
def test_views_are_averaged_in_the_order_of_the_rows(views):
    means = mean_over_views(torch.tensor([[1.0], [2.0], [7.0]]), torch.tensor(views))
    assert means.squeeze(1).tolist() == [1.5, 1.5, 7.0]
