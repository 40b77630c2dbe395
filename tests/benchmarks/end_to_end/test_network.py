import torch

from benchmarks.end_to_end.network import BODY_RATE, HEAD_RATE, FineTuned, embed, new_optimizer
from tests.benchmarks.end_to_end.conftest import small_network


class Seen(torch.nn.Module):
    """Keeps its input."""

    def forward(self, images):
        self.images = images
        return images


def test_photos_reach_the_body_enlarged_and_scaled():
    body = Seen()
    net = FineTuned(body, 3)
    embeddings = net(torch.tensor([0.0, 0.498 * 255, 255.0]).view(1, 3, 1, 1).expand(2, 3, 32, 32))
    assert body.images.shape == (2, 3, 64, 64)
    expected = torch.tensor([-0.498 / 0.502, 0.0, 1.0])
    torch.testing.assert_close(body.images[0, :, 5, 5], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(embeddings[0], net.head(expected), atol=1e-5, rtol=0)


def test_training_changes_the_weights_of_batch_norm_but_not_its_statistics():
    torch.manual_seed(0)
    net = small_network()
    assert net.training
    assert net.head.training
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = new_optimizer(net)
    net(255 * torch.rand(8, 3, 8, 8)).pow(2).sum().backward()
    optimizer.step()
    after = net.state_dict()
    kept = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert kept == {
        f"body.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_the_body_learns_more_slowly_than_the_head():
    body, head = new_optimizer(small_network()).param_groups
    assert (body["lr"], head["lr"]) == (BODY_RATE, HEAD_RATE)
    assert BODY_RATE < HEAD_RATE
    assert [len(body["params"]), len(head["params"])] == [4, 2]


def test_many_images_are_embedded_in_parts():
    images, net = 255 * torch.rand(501, 3, 8, 8), small_network()
    embeddings = embed(net, images)
    assert not embeddings.requires_grad
    torch.testing.assert_close(embeddings, net(images).detach())
