import torch

from pml_ahsml.statistics.gather import gather_batch, gather_rows


# what it does in several processes stands in tests/distributed
def test_one_process_has_its_own_rows_only():
    embeddings, labels = torch.randn(3, 2), torch.arange(3)
    assert gather_rows(embeddings, labels) == (embeddings, labels)


def test_view_ids_keep_their_groups():
    embeddings, labels = torch.randn(4, 2), torch.tensor([3, 1, 3, 1])
    gathered, same, ids = gather_batch(embeddings, labels, torch.tensor([9, 4, 9, 4]))
    assert torch.equal(gathered, embeddings)
    assert torch.equal(same, labels)
    assert ids.tolist() == [1, 0, 1, 0]
    assert gather_batch(embeddings, labels, None)[2] is None
    nothing = gather_batch(embeddings[:0], labels[:0], labels[:0])
    assert [len(part) for part in nothing] == [0, 0, 0]
