import pytest
import torch

from pml_ahsml import checks


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: checks.check_positive("c", 0.0),
            ValueError,
            "c must be positive and finite, got 0",
        ),
        (lambda: checks.check_positive("c", float("nan")), ValueError, "got nan"),
        (lambda: checks.check_positive("c", True), TypeError, "c must be a number, got bool"),
        (
            lambda: checks.check_in_interval("g", 2, 0, 1),
            ValueError,
            r"g must be in \[0, 1\], got 2",
        ),
        (lambda: checks.check_in_interval("g", float("nan"), 0, 1), ValueError, "got nan"),
        (lambda: checks.check_in_interval("g", None, 0, 1), TypeError, "got NoneType"),
        (lambda: checks.check_count("k", 1, 2), ValueError, "k must be at least 2, got 1"),
        (lambda: checks.check_count("k", 2.0, 2), TypeError, "k must be an integer, got float"),
        (lambda: checks.check_count("k", True, 0), TypeError, "k must be an integer, got bool"),
        (
            lambda: checks.check_embeddings("e", torch.tensor([[1.0], [torch.inf]]), 1),
            ValueError,
            "e must be finite, got nan or inf in 1 of 2 rows",
        ),
        (
            lambda: checks.check_labels("y", torch.ones(2, dtype=torch.bool), 2, 3),
            TypeError,
            "y must be of an integer dtype, got torch.bool",
        ),
        (
            lambda: checks.check_labels("y", torch.tensor([-1, 1]), 2, 3),
            ValueError,
            r"y must lie in \[0, 3\), got values from -1 to 1; .*dataset_labels",
        ),
    ],
)
def test_refusals_name_the_argument_the_rule_and_the_value(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_what_is_right_passes():
    checks.check_positive("c", 1)
    checks.check_in_interval("g", 1, 0, 1)
    checks.check_count("k", 2, 2)
    checks.check_embeddings("e", torch.zeros(0, 3), 3)
    checks.check_labels("y", torch.zeros(0, dtype=torch.long), 0, 3)
    checks.check_labels("y", torch.tensor([0, 2], dtype=torch.int32), 2, 3)
