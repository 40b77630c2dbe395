"""Audit a training set: which of its labels are wrong, and what should they be?

Run: python examples/find_wrong_labels.py [--output DIR]    (writes wrong_labels.png)
"""

import matplotlib
from digits import embed, fit, images, make_network, output_folder, truth, wrong_labels
from pytorch_metric_learning.losses import MultiSimilarityLoss
from sklearn.metrics import roc_auc_score

from pml_ahsml import AdaptiveNoiseAwareLoss

matplotlib.use("Agg")
import matplotlib.pyplot as plt

output = output_folder(__doc__)
# Make a tenth of the labels wrong. The truth is used to count, never to train.
labels, is_noisy = wrong_labels(truth, 0.1)

# Train as usual, with the loss wrapped.
net = make_network()
loss = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
fit(net, loss, images, labels, steps=150)

# Then judge every sample of the training set. Neither call changes the loss.
embeddings = embed(net.eval(), images)
trust = loss.trust(embeddings, labels)  # probability that the label is right
certainty, guesses = loss.posterior(embeddings, labels).max(1)  # the most probable class

doubtful = trust < 0.5
found = is_noisy[doubtful].sum()
repaired = (guesses[doubtful & is_noisy] == truth[doubtful & is_noisy]).sum()
print(f"noise rate: {loss.noise_rate:.3f} estimated, {is_noisy.float().mean():.3f} true")
print(f"AUROC of trust: {roc_auc_score(~is_noisy, trust):.3f}")
print(f"{doubtful.sum()} labels doubted; {found} of the {is_noisy.sum()} wrong ones among them")
print(f"the most probable class is right for {repaired} of these {found}")

figure, axes = plt.subplots(4, 5, figsize=(7, 6.5), layout="constrained")
figure.suptitle("The 20 least trusted labels (red: the label was right)")
for axis, i in zip(axes.flat, trust.argsort()[:20].tolist(), strict=True):
    axis.imshow(images[i].view(8, 8).numpy(), cmap="gray_r")
    colour = "black" if is_noisy[i] else "red"
    axis.set_title(f"no. {i}: {labels[i]} → {guesses[i]}?", fontsize=8, color=colour)
    axis.axis("off")
figure.savefig(output / "wrong_labels.png", dpi=120)
print(f"wrote {output / 'wrong_labels.png'}")
