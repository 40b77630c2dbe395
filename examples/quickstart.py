"""Digits with 40 % wrong labels: a plain loss, the same loss wrapped, and what the wrapper found.

Run: python examples/quickstart.py [--output DIR]    (writes quickstart.json and quickstart.png)
"""

import json

import matplotlib
from digits import embed, evaluate, fit, images, make_network, output_folder, truth, wrong_labels
from pytorch_metric_learning.losses import MultiSimilarityLoss
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from pml_ahsml import AdaptiveNoiseAwareLoss, PoincareDistance

matplotlib.use("Agg")
from pml_ahsml.visualization import plot_trust_histogram

output = output_folder(__doc__)
train, test = train_test_split(range(len(truth)), test_size=1 / 3, stratify=truth, random_state=0)
noisy, is_noisy = wrong_labels(truth[train], 0.4)
right = ~is_noisy

wrapped = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
# Distances reach 9.2 and cosine similarities span 2, so base and exponents scale by 4.6.
hyperbolic = MultiSimilarityLoss(alpha=0.43, beta=11, base=2.3, distance=PoincareDistance())
hyperbolic = AdaptiveNoiseAwareLoss(hyperbolic, num_classes=10, embedding_size=64)
nets, results = {}, {}
print(f"{'':12}precision@1   MAP@R")
for name, loss, x, y in (
    ("plain", MultiSimilarityLoss(), images[train], noisy),
    ("wrapped", wrapped, images[train], noisy),
    ("hyperbolic", hyperbolic, images[train], noisy),
    ("clean_only", MultiSimilarityLoss(), images[train][right], noisy[right]),
):
    nets[name] = make_network()
    fit(nets[name], loss, x, y, steps=270)
    embeddings = embed(nets[name], images[test])
    precision, map_at_r = evaluate(embeddings, truth[test], distance=loss.distance)
    results[name] = {"mean_average_precision_at_r": map_at_r, "precision_at_1": precision}
    print(f"{name:12}{precision:11.3f}{map_at_r:8.3f}", flush=True)

trust = wrapped.trust(embed(nets["wrapped"], images[train]), noisy)
auroc, true_rate = roc_auc_score(right, trust), float(is_noisy.float().mean())
results["wrapped"] |= {"noise_rate": wrapped.noise_rate, "trust_auroc": auroc}
results["true_noise_rate"] = true_rate
print(f"noise rate {wrapped.noise_rate:.3f} (true: {true_rate:.3f}), AUROC of trust {auroc:.3f}")
(output / "quickstart.json").write_text(json.dumps(results, indent=2) + "\n")
plot_trust_histogram(trust, is_noisy).figure.savefig(output / "quickstart.png", dpi=120)
print(f"wrote {output / 'quickstart.json'} and {output / 'quickstart.png'}")
