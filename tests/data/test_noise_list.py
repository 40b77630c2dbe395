import pytest
import torch

from pml_ahsml.data import read_noise_list

# the form of the lists that PRISM's authors publish
NOISY = """/data/cars196/images/AM General Hummer SUV 2000/02217.jpg,11
/data/cars196/images/AM General Hummer SUV 2000/01167.jpg,1
/data/cars196/images/Acura RL Sedan, 2012/01167.jpg,98

/data/cars196/images/Acura RL Sedan, 2012/00004.jpg,2
"""
CLEAN = """/data/cars196/images/AM General Hummer SUV 2000/01167.jpg,1
/data/cars196/images/Acura RL Sedan, 2012/00004.jpg,2
"""


@pytest.fixture
def lists(tmp_path):
    noisy, clean = tmp_path / "noised_train.csv", tmp_path / "noised_cleaned_train.csv"
    noisy.write_text(NOISY)
    clean.write_text(CLEAN)
    return noisy, clean


def test_reads_labels_and_tells_which_are_wrong(lists):
    noise = read_noise_list(*lists)
    assert noise.labels.tolist() == [11, 1, 98, 2]
    assert noise.names[2] == "/data/cars196/images/Acura RL Sedan, 2012/01167.jpg"
    assert noise.is_noisy.tolist() == [True, False, True, False]
    assert read_noise_list(lists[0]).is_noisy is None


def test_labels_match_a_data_set_in_another_folder(lists):
    noise = read_noise_list(*lists)
    mine = [r"D:\cars\Acura RL Sedan, 2012\01167.jpg", "x/AM General Hummer SUV 2000/01167.jpg"]
    positions = noise.order(mine)
    assert noise.labels[positions].tolist() == [98, 1]
    with pytest.raises(
        ValueError, match=r"must identify .*, got 1, which cannot tell .*01167.* from .*01167"
    ):
        noise.order(mine, components=1)
    with pytest.raises(ValueError, match="must be in the list, got 'b.jpg' and 1 others"):
        noise.order(["b.jpg", "images/c.jpg"])
    with pytest.raises(ValueError, match="components must be at least 1, got 0"):
        noise.order(mine, components=0)
    with pytest.raises(TypeError, match="components must be an integer, got str"):
        noise.order(mine, components="2")


def test_reads_paths_or_indices_before_white_space(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("10 3\n11\t4\na car/3.jpg   5\n")
    noise = read_noise_list(path)
    assert noise.names == ("10", "11", "a car/3.jpg")
    assert torch.equal(noise.labels, torch.tensor([3, 4, 5]))
    assert noise.order([11, 10]).tolist() == [1, 0]


def test_an_empty_data_set_has_no_positions(lists):
    positions = read_noise_list(*lists).order([])
    assert positions.shape == (0,)
    assert positions.dtype == torch.long


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfa.jpg,1\r\nb.jpg,2\r\n")
    noise = read_noise_list(path)
    assert noise.names == ("a.jpg", "b.jpg")
    assert noise.labels.tolist() == [1, 2]


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\u00a0"])
@pytest.mark.parametrize("separator", [",", " "])
def test_names_may_contain_unicode_white_space(tmp_path, sign, separator):
    names = (f"a{sign}b/1{sign}c.jpg", f"{sign}2.jpg{sign}")
    path = tmp_path / "labels.txt"
    path.write_text("".join(f"{name}{separator}7\n" for name in names), encoding="utf-8")
    noise = read_noise_list(path)
    assert noise.names == names
    assert noise.labels.tolist() == [7, 7]


@pytest.mark.parametrize("label", [2**63, -(2**63) - 1, 10**30, 10**5000], ids=range(4))
def test_labels_beyond_int64_are_refused(tmp_path, label):
    path = tmp_path / "labels.txt"
    digits = "1" + "0" * 5000 if label > 10**40 else str(label)  # Python writes no longer ones
    path.write_text(f"b.jpg,{2**63 - 1}\na.jpg,{digits}\n")
    message = "line 2 of .*labels.txt must have a label that int64 can hold, got"
    with pytest.raises(ValueError, match=message):
        read_noise_list(path)
    path.write_text(f"b.jpg,{2**63 - 1}\na.jpg,{-(2**63)}\n")
    assert read_noise_list(path).labels.tolist() == [2**63 - 1, -(2**63)]


@pytest.mark.parametrize("content", ["ä.jpg,2\n".encode("latin-1"), "b.jpg,2\n".encode("utf-16")])
def test_other_encodings_are_refused(tmp_path, content):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"a.jpg,1\n" + content)
    with pytest.raises(ValueError, match="line 2 of .*labels.txt must be UTF-8, got b"):
        read_noise_list(path)


LINES = ["a.jpg", "a.jpg,b", "a.jpg,", "a.jpg,1.5", ",5", "  ,5", " 5", "a.jpg,1_0", "a.jpg,٣"]


@pytest.mark.parametrize("line", LINES)
def test_malformed_lines_are_refused(tmp_path, line):
    path = tmp_path / "labels.txt"
    path.write_text(f"b.jpg,1\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2 of .* must be a sample and its label, got"):
        read_noise_list(path)


def test_a_clean_list_of_other_samples_is_refused(lists, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a.jpg,1\n" + CLEAN)
    with pytest.raises(ValueError, match=r"must list samples of .*train.csv, got 'a.jpg' and 0"):
        read_noise_list(lists[0], other)
