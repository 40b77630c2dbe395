import json

from benchmarks.geometry.plot import plot
from tests.docs.pages import ROOT


def test_accuracies_may_have_been_measured_where_more_packages_were_installed(tmp_path):
    figures = json.loads((ROOT / "docs" / "geometry.json").read_text(encoding="utf-8"))
    errors = figures["accuracy"]["rows"]
    errors.append(errors[-1] | {"way": "another"})
    plot(figures, tmp_path / "geometry.png")
    assert (tmp_path / "geometry.png").stat().st_size > 1000
