"""Find wrong labels, look at them, fix them, retrain; and the wrapper, which needs no audit.

Run: python examples/audit_and_retrain.py [--output DIR]    (writes audit.html and verdicts.csv)
"""

from digits import (
    embed,
    evaluate,
    fit,
    images,
    make_network,
    output_folder,
    test,
    train,
    truth,
    wrong_labels,
)
from pytorch_metric_learning.losses import MultiSimilarityLoss

from pml_ahsml import AdaptiveNoiseAwareLoss, audit_labels

output = output_folder(__doc__)
# Three labels in ten become wrong. The truth is used to count, never to train.
x, right = images[train], truth[train]
noisy, is_noisy = wrong_labels(right, 0.3)

# Find. Any features will do in which classes are apart: here the pixels, elsewhere the embeddings
# of a pre-trained network.
audit = audit_labels(x, noisy)
print(audit.report(), end="\n\n")
found = is_noisy[audit.is_doubted].sum()
print(f"noise rate: {audit.noise_rate:.3f} estimated, {is_noisy.float().mean():.3f} true")
print(f"{audit.is_doubted.sum()} labels doubted; {found} of {is_noisy.sum()} wrong ones are there")

# Look. Tick the samples on the page, and download the ticks.
audit.to_html(output / "audit.html", images=x.view(-1, 8, 8), title="Digits")
# Here somebody who knows the truth says it of the 50 most doubtful.
with open(output / "verdicts.csv", "w", encoding="utf-8") as file:
    print("index,verdict,label", file=file)
    for suspect in audit.suspects(50):
        i = suspect.index
        print(f"{i},wrong,{right[i]}" if is_noisy[i] else f"{i},right,", file=file)
audit = audit.apply(output / "verdicts.csv")

# Fix.
labels, mask = audit.cleaned("drop")
print(f"{mask.sum()} of {len(mask)} samples are left; {is_noisy[mask].sum()} of them wrong")

# Retrain, and compare.
wrapped = AdaptiveNoiseAwareLoss(MultiSimilarityLoss(), num_classes=10, embedding_size=64)
print(f"\n{'':12}precision@1   MAP@R")
for name, loss, rows, y in (
    ("plain", MultiSimilarityLoss(), x, noisy),
    ("cleaned", MultiSimilarityLoss(), x[mask], labels[mask]),
    ("wrapped", wrapped, x, noisy),
    ("right only", MultiSimilarityLoss(), x[~is_noisy], noisy[~is_noisy]),
):
    net = make_network()
    fit(net, loss, rows, y)
    precision, map_at_r = evaluate(embed(net, images[test]), truth[test])
    print(f"{name:12}{precision:11.3f}{map_at_r:8.3f}", flush=True)
print(f"wrote {output / 'audit.html'} and {output / 'verdicts.csv'}")
