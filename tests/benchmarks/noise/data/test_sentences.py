import pytest

from benchmarks.noise.data import load


def test_sentences_are_told_apart_by_their_words(tmp_path):
    folder = tmp_path / "banking_data"
    folder.mkdir()
    words = {"lost": "my card is gone", "fee": "why, a charge", "Pin": "the code \u00e9 fails"}
    for part, number in (("train", 8), ("test", 3)):
        lines = [f'"{words[name]} {i % 2}",{name}\n' for i in range(number) for name in words]
        (folder / f"{part}.csv").write_text("text,category\n" + "".join(lines), encoding="utf-8")
    data = load("banking", tmp_path)
    # classes in the order of their names, capitals first
    assert data.train[1].tolist() == [2, 1, 0] * 8
    assert data.test[1].tolist() == [2, 1, 0] * 3
    assert data.train[0].norm(dim=1).tolist() == pytest.approx([1] * 24, abs=1e-5)
    similarity = data.test[0] @ data.train[0].T
    same = data.test[1][:, None] == data.train[1]
    assert similarity[same].min() > 0.6
    assert similarity[~same].max() < 0.1
    assert data.make_net()(data.augment(data.train[0])).shape == (24, 128)
