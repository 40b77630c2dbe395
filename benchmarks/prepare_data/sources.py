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
