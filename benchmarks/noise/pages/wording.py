"""What the pages call the data sets, losses, noises and runs of the CSV files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Described:
    """A data set in words.

    Args:
        name: as the pages write it.
        network: what is trained.
        samples: for training.
        classes: among them.
    """

    name: str
    network: str
    samples: int
    classes: int


DATA = {
    "clinc": Described("CLINC", "head on MiniLM", 18_000, 150),
    "hwu": Described("HWU", "head on MiniLM", 9_960, 64),
    "trec": Described("TREC", "head on MiniLM", 5_189, 6),
    "hausa": Described("Hausa", "head on TF-IDF", 2_045, 5),
    "cifar10n": Described("CIFAR-10N", "head on EfficientNet", 10_000, 10),
    "cifar10n_images": Described("CIFAR-10N photos", "whole EfficientNet", 10_000, 10),
    "omniglot": Described("Omniglot", "small CNN", 3_580, 179),
    "synthetic": Described("synthetic", "head on Gaussians", 25_000, 5_000),
    "banking": Described("Banking77", "head on TF-IDF", 10_003, 77),
}
_OTHER_DATA = {
    "clinc_long_tailed": "CLINC, long tail",
    "hwu_long_tailed": "HWU, long tail",
    "movement_libras": "libras",
}

_GIVEN = {
    "annotator": "weak classifier",
    "majority": "rules",
    "distant": "gazetteers",
    "aggregate": "people, majority of three",
    "worst": "people, worst of three",
    "random1": "people, one of three",
}
_WEAK = {
    "poor_features": "classifier on poor features",
    "three_examples": "nearest of three examples",
    "unsure": "unsure people",
    "clusters": "clusters labelled as a whole",
    "careless": "three examples, a tenth at random",
}
_KINDS = {
    "symmetric": "symmetric",
    "near": "near",
    "pair": "pair",
    "one_way": "one-way",
    "instance": "instance",
    "open_set": "open-set",
    "small_cluster": "small cluster",
}

RUNS = {
    "plain": "plain",
    "prism": "PRISM (told)",
    "ours": "ours",
    "ours_ids": "ours, with ids",
    "ours_clean_ids": "ours, with ids, a tenth known",
    "ours_told": "ours, with ids, told",
    "ours_class_counts": "ours, told the counts",
    "no_neighbours": "ours, no neighbours",
    "cleaned": "plain, cleaned",
    "clean_only": "right only",
    "clean_only_margins": "right only, with margins",
}


def loss_name(loss: str) -> str:
    """TripletMargin, for Triplet; the others have PML's names."""
    return "TripletMargin" if loss == "Triplet" else loss


def data_name(data: str) -> str:
    """CLINC, for clinc."""
    return DATA[data].name if data in DATA else _OTHER_DATA.get(data, data)


def noise_name(noise: str) -> str:
    """Who gave the labels, or the kind and rate of the noise."""
    kind, _, number = noise.partition(":")
    if kind == "given":
        return _GIVEN[number]
    if kind == "weak":
        return _WEAK[number]
    return "none" if kind == "none" else f"{_KINDS[kind]} {100 * float(number):.0f} %"


def figure(value: float, digits: int = 3) -> str:
    """.745 for .7453, nothing for nan."""
    if value != value:
        return ""
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)
