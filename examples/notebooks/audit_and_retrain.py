# %% [markdown]
# # Find wrong labels, mend them, train again
#
# Digits, a tenth of whose labels are wrong. A wrapped loss finds them while it trains. Then
# somebody looks at the most doubtful ones, mends them, and trains again with a plain loss. It takes
# about half a minute on two cores.

# %%
# %pip install -q pml_ahsml[plot]

# %%
import numpy as np
import torch
from matplotlib import pyplot as plt
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.losses import MultiSimilarityLoss
from pytorch_metric_learning.samplers import MPerClassSampler
from pytorch_metric_learning.utils import common_functions as c_f
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from sklearn.datasets import load_digits

from pml_ahsml import AdaptiveNoiseAwareLoss, inject_label_noise

digits = load_digits()
images = torch.tensor(digits.data / 16, dtype=torch.float32)
truth = torch.tensor(digits.target)
train, test = slice(0, 1200), slice(1200, None)
labels, is_noisy = inject_label_noise(truth[train], 0.1, generator=torch.Generator().manual_seed(0))


# %%
def fit(loss, labels, steps=150):
    """Train a small network with a loss on some labels."""
    torch.manual_seed(0)
    c_f.NUMPY_RANDOM = np.random.default_rng(0)  # what MPerClassSampler draws from
    net = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 64))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    sampler = MPerClassSampler(labels, m=12, length_before_new_iter=120 * steps)
    for rows in torch.tensor(list(sampler)).split(120):
        optimizer.zero_grad()
        loss(net(images[train][rows]), labels[rows]).backward()
        optimizer.step()
    return net.eval()


def map_at_r(net):
    """MAP@R on right test labels."""
    calculator = AccuracyCalculator(
        include=("mean_average_precision_at_r",),
        k="max_bin_count",
        knn_func=CustomKNN(CosineSimilarity()),
    )
    with torch.no_grad():
        accuracy = calculator.get_accuracy(net(images[test]), truth[test])
    return accuracy["mean_average_precision_at_r"]


# %% [markdown]
# ## Find

# %%
loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
net = fit(loss, labels)
with torch.no_grad():
    embeddings = net(images[train])
    trust = loss.trust(embeddings, labels)
    guesses = loss.posterior(embeddings, labels).argmax(1)
order = trust.argsort()
print(f"noise rate {loss.noise_rate:.2f}, {int((trust < 0.5).sum())} labels with trust below ½")

# %% [markdown]
# ## Look
#
# In your own data this is where somebody decides. Go down the list until most labels are right.

# %%
figure, axes = plt.subplots(3, 8, figsize=(10, 4.5), layout="constrained")
for axis, i in zip(axes.flat, order[: axes.size].tolist(), strict=True):
    axis.imshow(images[i].view(8, 8).numpy(), cmap="gray_r")
    axis.set_title(f"labelled {labels[i]}\nlooks like {guesses[i]}", fontsize=9)
    axis.axis("off")

# %% [markdown]
# ## Mend
#
# Here every doubted label becomes the class that it looks like. The truth only says how well that
# went.

# %%
doubted = trust < 0.5
mended = torch.where(doubted, guesses, labels)
print(f"wrong labels before: {int(is_noisy.sum())}, after: {int((mended != truth[train]).sum())}")

# %% [markdown]
# ## Train again
#
# With a plain loss on the labels as they were, on the mended ones, and on the right ones.

# %%
scores = {
    name: map_at_r(fit(MultiSimilarityLoss(), given))
    for name, given in (("as they were", labels), ("mended", mended), ("right", truth[train]))
}
print({name: round(score, 3) for name, score in scores.items()})
