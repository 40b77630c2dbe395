"""Where the data comes from: repository, commit, licence, and what its files must be."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A public repository at one commit.

    Args:
        repository: where it is.
        commit: of the files that the benchmark was made with.
        licence: of the data, and whom to cite.
        hashes: SHA-256 of files, by their path in the repository; a changed file is refused.
    """

    repository: str
    commit: str
    licence: str
    hashes: dict[str, str] = field(default_factory=dict)

    def checked(self, folder: Path, name: str) -> Path:
        """A file of a checkout in ``folder``, after a look at what it holds."""
        path = folder / name
        if not path.exists():
            raise ValueError(
                f"{folder} must be a checkout of {self.repository} at {self.commit}, "
                f"got a folder without {name}"
            )
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if name in self.hashes and found != self.hashes[name]:
            raise ValueError(f"{path} must have SHA-256 {self.hashes[name]}, got {found}")
        return path


CLINC = Source(
    "https://github.com/clinc/oos-eval",
    "828f8093932c8fe6ca7936c3d2e52903b1c523de",
    "CC BY 3.0, Larson et al., EMNLP 2019",
    {
        "data/data_full.json": "36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
        "data/domains.json": "b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a",
    },
)
HWU = Source(
    "https://github.com/xliuhw/NLU-Evaluation-Data",
    "f6071b496b17d71e6eb43f543af0707f4ff30557",
    "CC BY 4.0, Liu et al., IWSDS 2019",
)
_SMALL_1, _SMALL_2 = (f"python/images_background_small{n}.zip" for n in (1, 2))
OMNIGLOT = Source(
    "https://github.com/brendenlake/omniglot",
    "057f034baf2ecb8530bc5710e5a23584d2a519cc",
    "MIT, Lake et al., Science 2015",
    {
        _SMALL_1: "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        _SMALL_2: "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    },
)
OMNIGLOT_ARCHIVES = (_SMALL_1, _SMALL_2)
TREC = Source(
    "https://github.com/awasthiabhijeet/Learning-From-Rules",
    "217c2d3b0cdaec1b22bc498c4cd17c5262b3fd13",
    "Apache-2.0 (rules), Awasthi et al., ICLR 2020; questions: Li and Roth, COLING 2002",
    {
        "data/TREC/rule.txt": "cfca36ebaaef9f0badb734f963c73c5c3d9f4c7be8d97016b427d1c5f52fb853",
        "data/TREC/train.txt": "9b4ebba4e0f508008d41a51d297426071af446794f499ac7e7c3c2b78abbcc3c",
        "data/TREC/valid.txt": "1f84072b274289150fc75ec91ff87a7b65fe279b5c580a068d88d077d061f76f",
        "data/TREC/test.txt": "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    },
)
HAUSA = Source(
    "https://github.com/uds-lsv/transfer-distant-transformer-african",
    "a46ec8e90334c0fb8ee16a690af1aabf927be902",
    "none is named for the data; Hedderich et al., EMNLP 2020",
    {
        f"data/hausa_newsclass/{part}.tsv": sha256
        for part, sha256 in {
            "train_clean": "662bf8849d34f4163032afede21c2f2d103a956a6d6d6925b7a8b2577f8e5c62",
            "train_clean_noisy_labels": (
                "6b9cedf948bc6ea1612f0a11ae52db128892152b9d2cd882fd4e4a25b2d9cb25"
            ),
            "test": "a174e3071e4d1e4713fb73aa93de583909d3bf5231abd0d09ab6ae4087a8f79b",
            "dev": "ca5629d297dec8c6f7878180ba2aa0a5852bafb57acc6b3ea4dc43cf600446e7",
        }.items()
    },
)
CIFAR_N_LABELS, CIFAR_ARCHIVE = "data/CIFAR-10_human.pt", "cifar-10-python.tar.gz"
CIFAR_N = Source(
    "https://github.com/UCSC-REAL/cifar-10-100n",
    "49df7d8a69e355470c77c1c2f2424916325a394b",
    "CC BY-NC 4.0, Wei et al., ICLR 2022",
    {CIFAR_N_LABELS: "873e69c39cb9b5e97fb6bae2d60bb59b38a5cbc31d2b868f7903dcb2b9dd2310"},
)
# An archive, no repository: it is downloaded into the checkout of CIFAR-N.
CIFAR = Source(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "(the file of this name)",
    "none is named; Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
    {CIFAR_ARCHIVE: "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
)
