"""Mining with class-wise margins: similar classes get other margins than dissimilar ones.

Run: python examples/hierarchical_mining.py
"""

from digits import embed, evaluate, fit, images, make_network, test, train, truth
from pytorch_metric_learning.losses import ContrastiveLoss

from pml_ahsml import HierarchicalSimilarityMiner, PoincareDistance

STEPS, BATCH_SIZE = 150, 60
distance = PoincareDistance()
loss = ContrastiveLoss(pos_margin=1, neg_margin=6, distance=distance)

for name, miner in (
    ("all pairs", None),
    ("one margin for all", HierarchicalSimilarityMiner(distance, span=0.0)),
    ("class-wise margins", HierarchicalSimilarityMiner(distance)),
):
    used = []

    def mined_loss(embeddings, labels, miner=miner, used=used):
        # in a PML trainer: mining_funcs={"tuple_miner": miner}
        pairs = None if miner is None else miner(embeddings, labels)
        used.append(
            BATCH_SIZE * (BATCH_SIZE - 1) if pairs is None else len(pairs[0]) + len(pairs[2])
        )
        return loss(embeddings, labels, pairs)

    net = make_network()
    fit(
        net,
        mined_loss,
        images[train],
        truth[train],
        per_class=6,
        batch_size=BATCH_SIZE,
        steps=STEPS,
    )
    precision, map_at_r = evaluate(embed(net, images[test]), truth[test], distance=distance)
    share = sum(used) / (STEPS * BATCH_SIZE * (BATCH_SIZE - 1))
    print(
        f"{name:18}: MAP@R {map_at_r:.3f}, precision@1 {precision:.3f}, "
        f"{share:.1%} of the pairs used"
    )
