from benchmarks.geometry.overhead.approximations import errors
from benchmarks.geometry.overhead.sizes import Sizes


def test_where_every_class_is_listed_nothing_is_approximated():
    sizes = Sizes(embedding_size=8, exact=12, batches=5)
    for row in errors(0.3, sizes)["rows"]:
        assert row["log_z"] < 1e-5
        assert row["trust_max"] < 1e-5
        assert row["same_class"] == 1
