"""Does a small norm point to a wrong label? AUROC on the training set of HWU.

Trains MultiSimilarityLoss on wrong labels, with its cosine and with LorentzSimilarity, and ranks
the training samples by −‖e‖.

Run: python -m benchmarks.hyperbolic.norms --data DIR
"""

from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score

from benchmarks.command_line import new_parser
from benchmarks.hyperbolic.results import Job
from benchmarks.hyperbolic.training import trained
from benchmarks.noise.data import EMBEDDING_SIZE, load
from benchmarks.noise.labels import noisy_labels

_NOISES, _WAYS = ("symmetric:0.5", "given:annotator"), ("own", "lorentz")


@torch.no_grad()
def wrong_label_auroc(net: torch.nn.Module, inputs: torch.Tensor, is_wrong: torch.Tensor) -> float:
    """AUROC of −‖e‖ for wrong labels."""
    net.eval()
    return float(roc_auc_score(is_wrong, -net(inputs).norm(dim=1)))


def main(data_dir: Path) -> None:
    """Print a line for each noise and way."""
    torch.set_num_threads(1)
    data = load("hwu", data_dir)
    inputs, truth = data.train
    for noise in _NOISES:
        is_wrong = noisy_labels(noise, 0, data) != truth
        for way in _WAYS:
            job = Job("hwu", "MultiSimilarity", noise, EMBEDDING_SIZE, 0, way, 0)
            net, _ = trained(job, data)
            print(noise, way, f"{wrong_label_auroc(net, inputs, is_wrong):.2f}", flush=True)


if __name__ == "__main__":
    parser = new_parser("benchmarks.hyperbolic.norms", __doc__)
    main(parser.parse_args().data)
