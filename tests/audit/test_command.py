"""The command, from files to files."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from pml_ahsml.audit.command import main
from tests.audit.made import made_audit
from tests.docs.pages import ROOT

COUNT = 60


class Audit:
    """Stands in for what finds the wrong labels, and remembers what it was given."""

    def __init__(self, error=None):
        self.error = error
        self.given = None

    def __call__(self, embeddings, labels, **options):
        assert isinstance(embeddings, torch.Tensor)
        assert labels.dtype == torch.long
        self.given = {"embeddings": embeddings, "labels": labels} | options
        if self.error is not None:
            raise self.error
        options["progress"]("neighbours", 1, 2)
        options["progress"]("neighbours", 2, 2)
        names = options["class_names"]
        return made_audit(
            len(labels),
            max(len(names), 1),
            labels=labels,
            class_names=tuple(names),
            sample_names=None
            if options["sample_names"] is None
            else tuple(options["sample_names"]),
        )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("embeddings.npy", np.random.default_rng(0).normal(size=(COUNT, 3)).astype(np.float32))
    np.save("labels.npy", np.arange(COUNT) % 4)
    return tmp_path


def lines(path, values):
    path.write_text("".join(f"{value}\n" for value in values), encoding="utf-8")
    return path.name


@pytest.fixture
def run(folder, capsys):
    def run_command(*arguments, error=None):
        audit = Audit(error)
        code = main(["audit", *map(str, arguments)], audit=audit)
        out, err = capsys.readouterr()
        return code, out, err, audit.given

    return run_command


@pytest.fixture
def refused(run):
    """The message of a run that is refused before anything is audited."""

    def run_refused(*arguments):
        code, out, err, given = run(*arguments)
        assert code == 2
        assert given is None
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return run_refused


def test_two_files_are_enough(run, folder):
    code, out, err, given = run("embeddings.npy", "labels.npy")
    assert code == 0
    assert out.startswith("Label audit: 60 samples in 4 classes")
    assert "audit.to_html" not in out  # what to do in Python
    assert "neighbours: 100%" in err
    np.testing.assert_array_equal(given["embeddings"].numpy(), np.load("embeddings.npy"))
    assert given["labels"].tolist() == [i % 4 for i in range(COUNT)]
    assert given["class_names"] == ["0", "1", "2", "3"]
    assert given["sample_names"] is None
    assert given["noise_rate"] is None
    assert (given["k"], given["seed"]) == (10, 0)
    assert sorted(path.name for path in folder.iterdir()) == ["embeddings.npy", "labels.npy"]


def test_options(run):
    options = ("--noise-rate", "0.2", "-k", "5", "--seed", "3", "--quiet")
    _, _, err, given = run("embeddings.npy", "labels.npy", *options)
    assert (given["noise_rate"], given["k"], given["seed"]) == (0.2, 5, 3)
    assert err == ""


def test_files_are_written(run, folder):
    names = [f"photo {i}.png" for i in range(COUNT)]
    code, _, err, _ = run(
        *("embeddings.npy", "labels.npy", "--names", lines(folder / "names.txt", names)),
        *("--texts", lines(folder / "texts.txt", [f"text {i}" for i in range(COUNT)])),
        *("--html", "a.html", "--csv", "s.csv", "--json", "a.json", "--title", "My <audit>"),
        *("--limit", 3),
    )
    assert code == 0
    for name in ("a.html", "s.csv", "a.json"):
        assert f"wrote {name}\n" in err
    assert err.endswith(
        "--verdicts verdicts.csv --cleaned cleaned.csv then writes mended labels.\n"
    )
    page = (folder / "a.html").read_text(encoding="utf-8")
    assert "<title>My &lt;audit&gt;</title>" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert len(data["cards"]) == 3
    first = data["cards"][0]["index"]
    assert data["samples"][str(first)]["name"] == f"photo {first}.png"
    assert data["samples"][str(first)]["text"] == f"text {first}"
    assert (folder / "s.csv").read_text().startswith("index,name,given")
    assert json.loads((folder / "a.json").read_text())["num_samples"] == COUNT


def test_verdicts_come_back_and_labels_go_out(run, folder, refused):
    first = made_audit(COUNT, 4, labels=torch.arange(COUNT) % 4).suspects(1)[0].index
    lines(folder / "v.csv", ["index,verdict", f"{first},right"])
    files = ("embeddings.npy", "labels.npy", "--cleaned", "c.csv")
    assert run(*files)[0] == 0
    without = (folder / "c.csv").read_text().splitlines()
    code, _, err, _ = run(*files, "--verdicts", "v.csv")
    assert code == 0
    assert "wrote c.csv" in err
    after = (folder / "c.csv").read_text().splitlines()
    assert [a for a, b in zip(after, without, strict=True) if a != b] == [
        f"{first},,{first % 4},true"
    ]
    assert run(*files, "--policy", "keep")[0] == 0
    assert (folder / "c.csv").read_text().count("true") == COUNT
    assert "--verdicts must be a file, got none.csv" in refused(*files, "--verdicts", "none.csv")
    lines(folder / "v.csv", ["index,verdict", "0,maybe"])
    code, _, err, _ = run(*files, "--verdicts", "v.csv", "--quiet")
    assert code == 2
    assert "error: v.csv, line 2: verdict must be one of" in err


@pytest.mark.parametrize("is_named", [True, False])
def test_images(run, folder, is_named):
    (folder / "photos").mkdir()
    names = [f"{i:02d}.png" for i in range(COUNT)]
    if is_named:
        names.reverse()
    for name in names:
        Image.new("L", (4, 4), int(name[:2])).save(folder / "photos" / name)
    (folder / "photos" / "notes.txt").write_text("no image")
    options = ("--names", lines(folder / "names.txt", names)) if is_named else ()
    code, _, _, given = run(
        *("embeddings.npy", "labels.npy", "--images", "photos", "--html", "a.html", *options)
    )
    assert code == 0
    assert given["sample_names"] == names
    assert (folder / "a.html").read_text(encoding="utf-8").count("data:image/png") > 10


LABELS = [f"class {i % 3}" for i in range(COUNT)]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("l.txt", "\n".join(LABELS), ()),
        ("l.txt", "\r\n".join(LABELS) + "\r\n", ()),
        ("l.csv", "\n".join(LABELS) + "\n", ()),
        ("l.csv", "\n".join(["label", *LABELS]) + "\n", ()),
        ("l.csv", "\ufeff" + "\n".join(["anything", *LABELS]) + "\n", ()),
        ("l.csv", "file,label\n" + "".join(f"{i}.png,{y}\n" for i, y in enumerate(LABELS)), ()),
        ("l.CSV", "file;label\r\n" + "".join(f"a,b;{y}\r\n" for y in LABELS), ()),
        (
            "l.csv",
            "label,kind\n" + "".join(f'"no\nlabel",{y}\n' for y in LABELS),
            ("--label-column", "kind"),
        ),
    ],
)
def test_labels_as_text(run, folder, name, text, options):
    (folder / name).write_bytes(text.encode())
    code, _, err, given = run("embeddings.npy", name, *options)
    assert code == 0, err
    assert given["class_names"] == ["class 0", "class 1", "class 2"]
    assert given["labels"].tolist() == [i % 3 for i in range(COUNT)]


@pytest.mark.parametrize("header", [[], ["label"]])
def test_integers_in_text_keep_their_order(run, folder, header):
    lines(folder / "l.csv", header + [(i % 3 - 1) * 10 for i in range(COUNT)])
    _, _, _, given = run("embeddings.npy", "l.csv")
    assert given["class_names"] == ["-10", "0", "10"]
    assert given["labels"].tolist() == [i % 3 for i in range(COUNT)]


def test_labels_as_arrays_of_names(run, folder):
    np.save("names.npy", np.array(LABELS))
    assert run("embeddings.npy", "names.npy")[3]["class_names"] == ["class 0", "class 1", "class 2"]
    np.savez("set.npz", embeddings=np.ones((COUNT, 2)), labels=np.arange(COUNT) % 2, other=[1])
    given = run("set.npz", "set.npz")[3]
    assert given["embeddings"].shape == (COUNT, 2)
    assert given["labels"].tolist() == [i % 2 for i in range(COUNT)]


def test_names_of_classes(run, folder, refused):
    lines(folder / "classes.txt", ["a", "b", "c", "d", "never"])
    given = run("embeddings.npy", "labels.npy", "--class-names", "classes.txt")[3]
    assert given["class_names"] == ["a", "b", "c", "d", "never"]
    assert given["labels"].tolist() == [i % 4 for i in range(COUNT)]
    lines(folder / "classes.txt", ["a", "b", "c"])
    assert "labels.npy must hold labels in [0, 3), as --class-names has 3 lines, got values" in (
        refused("embeddings.npy", "labels.npy", "--class-names", "classes.txt")
    )
    lines(folder / "l.txt", LABELS)
    assert "--class-names must go with labels that are integers, got l.txt with 'class 0'" in (
        refused("embeddings.npy", "l.txt", "--class-names", "classes.txt")
    )


def test_what_is_not_there(refused, folder):
    assert "none.npy: No such file" in refused("none.npy", "labels.npy")
    assert "none.txt: No such file" in refused("embeddings.npy", "none.txt")
    assert "n.txt: No such file" in refused("embeddings.npy", "labels.npy", "--names", "n.txt")
    assert "images must be a folder, got photos" in (
        refused("embeddings.npy", "labels.npy", "--images", "photos")
    )
    for name in ("html", "csv", "json", "cleaned"):
        assert f"--{name} must be in a folder that exists, got no/a" in (
            refused("embeddings.npy", "labels.npy", f"--{name}", "no/a")
        )
    (folder / "photos").mkdir()
    assert "photos must hold 60 images, one for each embedding, got 0" in (
        refused("embeddings.npy", "labels.npy", "--images", "photos")
    )
    lines(folder / "names.txt", [f"{i}\x00" * 99 for i in range(COUNT)])
    assert "photos must hold an image for each name, got 60 of 60 missing, the first is" in (
        refused("embeddings.npy", "labels.npy", "--images", "photos", "--names", "names.txt")
    )


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda: np.save("e.npy", np.ones(3)), "e.npy must hold numbers of shape (N, D), got"),
        (lambda: np.save("e.npy", np.array([["a"]])), "e.npy must hold numbers of shape (N, D)"),
        (
            lambda: np.save("e.npy", np.array([[None]]), allow_pickle=True),
            "e.npy must hold an array of numbers or strings, got one of Python objects",
        ),
        (lambda: open("e.npy", "w").close(), "e.npy must be a file of numpy, got another"),
    ],
)
def test_embeddings_of_another_kind(refused, save, message):
    save()
    assert message in refused("e.npy", "labels.npy")


def test_archives(refused, folder):
    np.savez("e.npz", a=np.ones((COUNT, 2)), b=1)
    assert "e.npz must hold an array 'embeddings' or only one, got ['a', 'b']" in (
        refused("e.npz", "labels.npy")
    )
    np.savez("e.npz")
    assert "e.npz must hold an array 'embeddings' or only one, got []" in (
        refused("e.npz", "labels.npy")
    )
    for content in (b"", b"garbage", b"PK\x03\x04 cut off"):
        (folder / "e.npz").write_bytes(content)
        assert "e.npz must be a file of numpy, got another (" in refused("e.npz", "labels.npy")
    (folder / "e.csv").write_text("1,2\n")
    assert "embeddings must be a .npy or .npz file, got e.csv" in refused("e.csv", "labels.npy")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.txt", b"a\nb\n", "l.txt must hold 60 labels, one for each embedding, got 2"),
        ("l.csv", b"", "l.csv must hold 60 labels, one for each embedding, got 0"),
        (
            "l.csv",
            b"h\n" + b"a\n" * 61,
            "l.csv must hold 60 labels, one for each embedding, got 62",
        ),
        ("l.txt", b"a\n" * 30 + b"\n" + b"a\n" * 29, "l.txt: label 31 must not be empty"),
        ("l.csv", b"label,x\n" + b"a,1\n" * 8 + b",1\n" + b"a,1\n" * 51, "label 10 must not be"),
        ("l.csv", b"file,kind\n" + b"a,b\n" * 60, "l.csv must have one column 'label', or name an"),
        ("l.csv", b"label,label\na,b\n", "l.csv must have one column 'label'"),
        ("l.csv", b"file,label\na,b\na\n", "l.csv: row 3 must have 2 cells, got 1"),
        ("l.txt", b"\xff\xfe\x00", "l.txt must be text in UTF-8, got invalid start byte"),
        ("l.json", b"[]", "labels must be a .npy, .npz, .csv or .txt file, got l.json"),
    ],
)
def test_labels_of_another_kind(refused, folder, name, content, message):
    (folder / name).write_bytes(content)
    assert message in refused("embeddings.npy", name)


def test_labels_as_arrays_of_another_kind(refused):
    np.save("l.npy", np.ones(COUNT))
    assert "l.npy must hold integers or names of classes, got float64" in (
        refused("embeddings.npy", "l.npy")
    )
    np.save("l.npy", np.ones(3, dtype=int))
    assert "l.npy must hold 60 labels, one for each embedding, got shape (3,)" in (
        refused("embeddings.npy", "l.npy")
    )
    assert "--label-column must go with a .csv file, got labels.npy" in (
        refused("embeddings.npy", "labels.npy", "--label-column", "a")
    )


def test_numbers_of_lines(refused, folder):
    lines(folder / "n.txt", range(59))
    for option in ("--names", "--texts"):
        assert "n.txt must have 60 lines, got 59" in (
            refused("embeddings.npy", "labels.npy", option, "n.txt")
        )
    assert "--limit must be at least 0, got -1" in (
        refused("embeddings.npy", "labels.npy", "--limit", -1)
    )


def test_what_the_audit_refuses_is_one_line(run):
    error = ValueError("embeddings must be finite,\n got nan")
    code, out, err, _ = run("embeddings.npy", "labels.npy", "--quiet", error=error)
    assert (code, out, err) == (2, "", "error: embeddings must be finite, got nan\n")
    code, _, err, _ = run("embeddings.npy", "labels.npy", "--quiet", error=MemoryError())
    assert (code, err) == (2, "error: MemoryError\n")
    code, _, err, _ = run("embeddings.npy", "labels.npy", "--quiet", error=KeyboardInterrupt())
    assert (code, err) == (130, "stopped\n")


@pytest.mark.filterwarnings("default:1 images")
def test_a_picture_that_cannot_be_read_is_a_warning(run, folder):
    (folder / "photos").mkdir()
    for i in range(COUNT):
        Image.new("L", (4, 4)).save(folder / "photos" / f"{i:02d}.png")
    (folder / "photos" / "00.png").write_bytes(b"broken")  # one of the near-duplicates
    code, _, err, _ = run(
        *("embeddings.npy", "labels.npy", "--images", "photos", "--html", "a.html", "--quiet")
    )
    assert code == 0
    assert err.startswith("warning: 1 images cannot be read and are not shown, the first is")


def test_it_finds_wrong_labels(folder, capsys):
    """With nothing in the place of anything."""
    labels = np.arange(COUNT) % 3
    random = np.random.default_rng(0)
    np.save("points.npy", np.eye(3)[labels] + 0.1 * random.normal(size=(COUNT, 3)))
    labels[7] = 0  # of class 1
    lines(folder / "l.csv", ["label", *(("cat", "dog", "cow")[k] for k in labels)])
    code = main(["audit", "points.npy", "l.csv", "--csv", "s.csv", "--cleaned", "c.csv"])
    assert code == 0, capsys.readouterr().err
    rows = (folder / "s.csv").read_text().splitlines()[1:]
    assert [row.split(",")[:4] for row in rows] == [["7", "", "cat", "dog"]]
    kept = [row for row in (folder / "c.csv").read_text().splitlines() if row.endswith("false")]
    assert kept == ["7,,cat,false"]


@pytest.mark.parametrize("arguments", [[], ["audit"], ["audit", "a", "b", "-k", "x"], ["other"]])
def test_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m pml_ahsml" in capsys.readouterr().err


def test_as_a_module(folder):
    def python(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "pml_ahsml", *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    done = python("audit", "--help")
    assert done.returncode == 0
    assert "--noise-rate" in done.stdout
    done = python("audit", "none.npy", "labels.npy")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: none.npy: No such file or directory\n"
