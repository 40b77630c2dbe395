"""What somebody said of the labels, read from a file."""

import csv
import re

import pytest
import torch

from tests.audit.made import HOSTILE, made_audit


@pytest.fixture
def audit():
    return made_audit(labels=torch.arange(60) % 5)


@pytest.fixture
def write(tmp_path):
    def write_file(text, encoding="utf-8"):
        path = tmp_path / "verdicts.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write_file


def same(audit, other):
    return all(
        torch.equal(getattr(audit, name), getattr(other, name))
        for name in ("trust", "suggested", "confidence", "is_judged", "is_of_no_class")
    )


def test_verdicts(audit, write):
    after = audit.apply(
        write(
            "index,verdict,label\n"
            "3,wrong,\n"
            "4,Right,\n"
            "5,unsure,class 3\n"
            "6,,\n"
            "7, wrong ,class 4\n"
            "8,right,class 3\n"
        )
    )
    assert after.trust[[3, 4, 7, 8]].tolist() == [0, 1, 0, 1]
    assert after.suggested[3] == audit.suggested[3]
    assert after.suggested[[4, 7, 8]].tolist() == [4, 4, 3]
    right, wrong = torch.zeros(60, dtype=torch.bool), torch.zeros(60, dtype=torch.bool)
    corrected = torch.full((60,), -1)
    right[[4, 8]], wrong[[3, 7]], corrected[7] = True, True, 4
    assert same(after, audit.with_verdicts(right, wrong, corrected))


@pytest.mark.parametrize(
    "text",
    [
        "verdict,index\nwrong,3\n",
        "note,index,verdict\nhello,3,wrong\n",
        "index;verdict;label\n3;wrong;\n",
        "\ufeffindex,verdict\r\n3,wrong\r\n",
        '"index","verdict"\n"3","wrong"\n\n',
        " index , verdict\n 3 , WRONG",
    ],
)
def test_what_spreadsheets_make_of_it(audit, write, text):
    after = audit.apply(write(text))
    assert after.trust[3] == 0
    assert (after.trust != audit.trust).sum() == 1


def test_nothing_said_changes_nothing(audit, write):
    assert same(audit, audit.apply(write("index,verdict\n")))
    assert same(audit, audit.apply(write("index,verdict\n3,unsure\n4,\n")))


def test_what_to_csv_writes_is_read(audit, tmp_path):
    path = tmp_path / "suspects.csv"
    audit.to_csv(path)
    assert same(audit, audit.apply(path))
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[0]["verdict"], rows[1]["verdict"] = "right", "wrong"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    after = audit.apply(path)
    assert after.trust[int(rows[0]["index"])] == 1
    assert after.trust[int(rows[1]["index"])] == 0
    assert len(after.suspects()) <= len(audit.suspects())


@pytest.mark.parametrize("name", [name for name in HOSTILE if name], ids=range(len(HOSTILE) - 1))
def test_a_label_may_be_called_anything(write, tmp_path, name):
    audit = made_audit(class_names=("a", "b", name), num_classes=3, labels=torch.zeros(60).long())
    path = tmp_path / "verdicts.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["index", "verdict", "label"], [7, "wrong", name]])
    assert audit.apply(path).suggested[7] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the columns must include 'index', got ''"),
        ("index,label\n", "line 1: the columns must include 'verdict', got 'index, label'"),
        ("index,verdict\n1,wrong\n2,bad\n", "line 3: verdict must be one of .*, got 'bad'"),
        ("index,verdict\n60,wrong\n", r"line 2: index must be an integer in \[0, 60\), got '60'"),
        ("index,verdict\n-1,wrong\n", r"line 2: index must be an integer in \[0, 60\), got '-1'"),
        ("index,verdict\n1.0,wrong\n", r"line 2: index must be .*, got '1.0'"),
        ("index,verdict\n²,wrong\n", r"line 2: index must be .*, got '²'"),
        (f"index,verdict\n{'9' * 9999},wrong\n", r"line 2: index must be .*, got '9999.*…'"),
        ("index,verdict\n,wrong\n", r"line 2: index must be .*, got ''"),
        ("index,verdict\n1,wrong\n2,right\n1,wrong\n", "line 4: index must stand once, line 2 has"),
        ("index,verdict\n1,wrong,cat\n", "line 2: a row must have 2 cells, got 3"),
        (
            "index,verdict,label\n1,wrong,cat\n",
            "line 2: label must be the name of one class, got 'cat'",
        ),
        (
            "index,verdict,label\n1,right,class 2\n",
            "line 2: label must be 'class 1' or empty where it is right, got 'class 2'",
        ),
        (
            "index,verdict,label\n1,wrong,class 1\n",
            "line 2: label must be another class where it is wrong, got 'class 1'",
        ),
        ('name,index,verdict\n"a\nb",1,wrong\n"c\nd",2,bad\n', "line 4: verdict must be one of"),
        ("index,verdict\n\n\n1,bad\n", "line 4: verdict must be one of"),
    ],
)
def test_errors_say_the_line(audit, write, text, message):
    path = write(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}, {message}"):
        audit.apply(path)


def test_a_file_that_is_no_text(audit, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="must be text in UTF-8"):
        audit.apply(path)


def test_a_name_of_two_classes_is_no_label(write):
    audit = made_audit(3, 3, class_names=("a", "same", "same"), labels=torch.zeros(3).long())
    with pytest.raises(ValueError, match="line 2: label must be the name of one class, got 'same'"):
        audit.apply(write("index,verdict,label\n1,wrong,same\n"))


def test_no_such_file(audit, tmp_path):
    with pytest.raises(FileNotFoundError):
        audit.apply(tmp_path / "verdicts.csv")
