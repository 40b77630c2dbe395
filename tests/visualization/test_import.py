import subprocess
import sys

# One process, as each pays for the import of torch.
CODE = """
import sys
import pml_ahsml, pml_ahsml.data, pml_ahsml.inference
print("matplotlib" in sys.modules)
for missing in ("matplotlib", "scipy"):
    kept, sys.modules[missing] = sys.modules.get(missing), None
    try:
        import pml_ahsml.visualization
    except ImportError as error:
        print(error)
    del sys.modules[missing]
    if kept is not None:
        sys.modules[missing] = kept
import pml_ahsml.visualization
print("matplotlib" in sys.modules)
"""


def test_only_visualization_needs_the_extra_and_names_it():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    before, without_matplotlib, without_scipy, after = done.stdout.splitlines()
    assert before == "False"
    for message, missing in ((without_matplotlib, "matplotlib"), (without_scipy, "scipy")):
        assert message.startswith("pml_ahsml.visualization needs matplotlib and scipy")
        assert "pip install 'pml_ahsml[plot]'" in message
        assert message.count(missing) == 2  # the one of the two that is missing
    assert after == "True"
