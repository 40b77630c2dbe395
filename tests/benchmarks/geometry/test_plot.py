import json

from benchmarks.geometry.plot import plot
from tests.docs.pages import ROOT


def test_parts_may_have_been_measured_with_different_packages(tmp_path):
    figures = json.loads((ROOT / "docs" / "geometry.json").read_text(encoding="utf-8"))
    errors = figures["accuracy"]["rows"]
    errors.append(errors[-1] | {"way": "another"})
    plot(figures, tmp_path / "geometry.png")
    assert (tmp_path / "geometry.png").stat().st_size > 1000
