"""What an audit is given."""

import numpy as np
import pytest
import torch

from pml_ahsml.audit.arguments import directions, labels_and_classes, names_of

POINTS = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "scale",
    [1.0, torch.tensor(1e30), torch.tensor(1e-38), torch.tensor(1e300, dtype=torch.float64)],
)
def test_rows_of_any_size_become_directions(scale):
    points = POINTS.to(torch.as_tensor(scale).dtype) * scale if torch.is_tensor(scale) else POINTS
    expected = POINTS.double() / POINTS.double().norm(dim=1, keepdim=True)
    # 1e-38 is near the smallest number of float32, where digits are lost
    torch.testing.assert_close(directions(points).double(), expected, rtol=1e-5, atol=1e-6)


def test_rows_of_zeros_stay():
    assert directions(torch.zeros(2, 3)).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_directions_are_in_float32(dtype):
    points = POINTS.to(dtype)
    found = directions(points)
    assert found.dtype == torch.float32
    exact = points.double() / points.double().norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-6)


def test_arrays_lists_and_integers_are_embeddings():
    integers = torch.randint(-9, 9, (6, 4), generator=torch.Generator().manual_seed(1))
    expected = directions(integers.float())
    for same in (integers, integers.numpy(), integers.tolist(), integers.numpy().astype("f2")):
        assert torch.equal(directions(same), expected)


@pytest.mark.parametrize(
    ("embeddings", "error", "message"),
    [
        (torch.ones(3), ValueError, r"embeddings must be of shape \(N, D\), got \(3,\)"),
        (torch.ones(0, 3), ValueError, r"embeddings must be of shape \(N, D\), got \(0, 3\)"),
        (torch.ones(3, 0), ValueError, r"embeddings must be of shape \(N, D\), got \(3, 0\)"),
        (torch.tensor([[1.0], [torch.nan], [torch.inf]]), ValueError, "nan or inf in 2 of 3 rows"),
        (torch.ones(2, 2).to_sparse(), TypeError, "embeddings must be a dense tensor"),
        (torch.ones(2, 2) + 0j, TypeError, "embeddings must be of real numbers, got torch.compl"),
        ("text", TypeError, "embeddings must be a tensor, or numbers to make one of, got str"),
        (None, TypeError, "embeddings must be a tensor, or numbers to make one of, got NoneType"),
    ],
)
def test_embeddings_are_checked(embeddings, error, message):
    with pytest.raises(error, match=message):
        directions(embeddings)


def test_without_names_classes_are_the_labels_that_occur():
    labels, classes = labels_and_classes(np.array([3, 1, 3], dtype=np.int8), 3, None)
    assert labels.dtype == torch.int64
    assert labels.tolist() == [1, 0, 1]
    assert classes.names == ("1", "3")
    assert classes.values.tolist() == [1, 3]


def test_labels_without_gaps_are_the_numbers_of_their_classes():
    labels, classes = labels_and_classes([2, 0, 1], 3, None)
    assert labels.tolist() == [2, 0, 1]
    assert classes == (("0", "1", "2"), None)


@pytest.mark.parametrize(
    ("columns", "numbers", "names"), [(4, [3, 1], ("0", "1", "2", "3")), (2, [1, 0], ("1", "3"))]
)
def test_class_probabilities_are_of_all_numbers_or_of_the_labels_that_occur(
    columns, numbers, names
):
    labels, classes = labels_and_classes([3, 1], 2, None, columns)
    assert labels.tolist() == numbers
    assert classes.names == names


@pytest.mark.parametrize(
    ("labels", "names", "error", "message"),
    [
        ([0, 0, 0], None, ValueError, "labels must be of at least 2 classes, got 1"),
        ([3, 3, 3], None, ValueError, "labels must be of at least 2 classes, got 1"),
        ([0, 0, 0], ["a"], ValueError, "class_names must hold at least 2 names, got 1"),
        ([0, 1], None, ValueError, r"labels must be of shape \(3,\), got \(2,\)"),
        ([[0, 1, 1]], None, ValueError, r"labels must be of shape \(3,\), got \(1, 3\)"),
        ([0, -1, 1], None, ValueError, r"labels must lie in \[0, 2\), got values from -1 to 1"),
        ([0, 1, 2], ["a", "b"], ValueError, r"labels must lie in \[0, 2\), got values from 0 to 2"),
        ([0.0, 1.0, 1.0], None, TypeError, "labels must be of an integer dtype"),
        ([True, False, True], None, TypeError, "labels must be of an integer dtype"),
        (["a", "b", "b"], None, TypeError, "labels must be a tensor, or numbers"),
        ([0, 1, 1], "ab", TypeError, "class_names must be a sequence of names, got a str"),
    ],
)
def test_labels_and_names_are_checked(labels, names, error, message):
    with pytest.raises(error, match=message):
        labels_and_classes(labels, 3, names)


def test_labels_alike_are_no_error_if_there_are_names_of_other_classes():
    labels, classes = labels_and_classes([1, 1], 2, ["a", "b"])
    assert labels.tolist() == [1, 1]
    assert classes == (("a", "b"), None)


def test_names_become_text():
    assert names_of("sample_names", [1, "b"], 2) == ("1", "b")
    assert names_of("sample_names", None, 2) is None
    with pytest.raises(ValueError, match="sample_names must hold 3 names, got 2"):
        names_of("sample_names", ["a", "b"], 3)
