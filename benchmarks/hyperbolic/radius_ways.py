"""Ways of training that could make the norm of an embedding mean something.

Each is a module with ``forward(embeddings, labels)``, the value to minimise, and ``distance``, the
PML distance by which its neighbours are found.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from pytorch_metric_learning.distances import CosineSimilarity
from torch import Tensor
from torch.nn import functional

from benchmarks.hyperbolic.ways import LOSSES
from pml_ahsml import LorentzSimilarity
from pml_ahsml.distances.learnt_scale import LearntScale
from pml_ahsml.hyperbolic import maps, minkowski

# Lower temperatures let a cosine reach any confidence, so that the norm is not needed.
TEMPERATURE = 0.1


class HalfwayIn(LorentzSimilarity):
    """LorentzSimilarity whose median row starts at half the clip radius, in any dimension."""

    def __init__(self, embedding_size: int, **options: Any) -> None:
        super().__init__(**options)
        self.learnt_scale = LearntScale(self.clip_radius / 2 / embedding_size)

    def compute_mat(self, query_emb: Tensor, ref_emb: Tensor | None) -> Tensor:
        """All pairs, (N, M), of the rows as :meth:`to_tangent` places them."""
        self._learn_scale(query_emb)
        query = self.to_tangent(query_emb)
        ref = query if ref_emb is None else self.to_tangent(ref_emb)
        return minkowski.similarity_matrix(query, ref, self.curvature, self.clip_radius)


class StraightThrough(HalfwayIn):
    """The gradient passes the clip unchanged, so that a row beyond it can come back."""

    def to_tangent(self, embeddings: Tensor) -> Tensor:
        """Clipped rows with the gradient of rows that are not."""
        rows = embeddings * self.scale
        return rows + (maps.clip_norm(rows, self.clip_radius) - rows).detach()


class SoftClip(HalfwayIn):
    """Norms are bent, not clipped: r·tanh(λ‖e‖/r). Every row keeps a radial gradient."""

    def to_tangent(self, embeddings: Tensor) -> Tensor:
        """Rows of norm below the clip radius."""
        rows = embeddings * self.scale
        norm = rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        return rows * (self.clip_radius * (norm / self.clip_radius).tanh() / norm)

    def radii(self, embeddings: Tensor) -> Tensor:
        """The norms in clip radii, (N, 1)."""
        return self.to_tangent(embeddings).norm(dim=1, keepdim=True) / self.clip_radius


class OfPairs(torch.nn.Module):
    """A loss of PML, and a price on the norm: price·mean (‖u‖/r)²."""

    def __init__(self, loss: Any, price: float = 0.0) -> None:
        super().__init__()
        self.loss, self.distance, self.price = loss, loss.distance, price

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The loss."""
        value: Tensor = self.loss(embeddings, labels)
        if self.price:
            value = value + self.price * self.distance.radii(embeddings).square().mean()
        return value


class Prototypes(torch.nn.Module):
    """Softmax over one prototype for each class, which starts halfway to the clip radius."""

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        super().__init__()
        self.distance: Any = SoftClip(embedding_size)
        directions = functional.normalize(torch.randn(num_classes, embedding_size))
        self.tangents = torch.nn.Parameter(directions * self.distance.clip_radius / 2)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy."""
        self.distance.find_scale(embeddings)
        return functional.cross_entropy(self.logits(embeddings) / TEMPERATURE, labels)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Similarities to the prototypes, (N, K)."""
        distance = self.distance
        rows = distance.to_tangent(embeddings)
        return minkowski.similarity_matrix(
            rows, self.prototypes(), distance.curvature, distance.clip_radius
        )

    def prototypes(self) -> Tensor:
        """Tangent vectors of the prototypes, (K, D)."""
        return self.tangents


class BallPrototypes(Prototypes):
    """Prototypes as points of geoopt's ball, for its RiemannianAdam."""

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        import geoopt

        super().__init__(num_classes, embedding_size)
        curvature = self.distance.curvature
        points = maps.expmap0(self.tangents.detach(), curvature)
        del self.tangents
        self.points = geoopt.ManifoldParameter(points, manifold=geoopt.PoincareBall(curvature))

    def prototypes(self) -> Tensor:
        """Tangent vectors of the prototypes, (K, D)."""
        return maps.logmap0(self.points, self.distance.curvature)


class Directions(Prototypes):
    """‖u‖/r·cos θ to the prototypes: Euclidean, and the norm is how sure the softmax can be."""

    def logits(self, embeddings: Tensor) -> Tensor:
        """The products, (N, K)."""
        return self.distance.radii(embeddings) * self._cosines(embeddings)

    def _cosines(self, embeddings: Tensor) -> Tensor:
        return functional.normalize(embeddings) @ functional.normalize(self.tangents).T


class CosinePrototypes(Directions):
    """cos θ to the prototypes: the same without a norm."""

    def __init__(self, num_classes: int, embedding_size: int) -> None:
        super().__init__(num_classes, embedding_size)
        self.distance: Any = CosineSimilarity()

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The cross-entropy."""
        return functional.cross_entropy(self.logits(embeddings) / TEMPERATURE, labels)

    def logits(self, embeddings: Tensor) -> Tensor:
        """The cosines, (N, K)."""
        return self._cosines(embeddings)


class IdealPrototypes(Directions):
    """−log(cosh A − sinh A·cos θ), Busemann's function of prototypes at infinity.

    Source: Ghadimi Atigh et al., NeurIPS 2021.
    """

    def logits(self, embeddings: Tensor) -> Tensor:
        """The negated functions, (N, K)."""
        return busemann(self.distance, self.distance.radii(embeddings), self._cosines(embeddings))


def busemann(distance: LorentzSimilarity, radii: Tensor, cosines: Tensor) -> Tensor:
    """Negated Busemann functions of points with these radii at these angles to ideal points."""
    angles = 2 * math.sqrt(distance.curvature) * distance.clip_radius * radii
    return -(angles.cosh() - angles.sinh() * cosines).log()


class OwnRadius(torch.nn.Module):
    """A pair loss turns embeddings; a softmax over class means of the batch moves them in or out.

    The pair loss sees cosines, and the softmax has no gradient by directions: so retrieval by
    directions stays that of the pair loss. A row is no part of the mean of its own class.
    """

    def __init__(self, loss: Any, embedding_size: int) -> None:
        super().__init__()
        self.loss, self.distance = loss, SoftClip(embedding_size)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """The sum of both losses."""
        self.distance.find_scale(embeddings)
        value: Tensor = self.loss(embeddings, labels)
        directions = functional.normalize(embeddings.detach())
        cosines, targets = cosines_to_classes(directions, labels)
        logits = self.distance.radii(embeddings) * cosines / TEMPERATURE
        return value + functional.cross_entropy(logits, targets)


def cosines_to_classes(directions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines to the mean of each class of a batch, (N, K), and the index of each row's class.

    A row is left out of the mean of its own class. Classes of one row have cosine 0 to it.
    """
    classes, targets = labels.unique(return_inverse=True)
    sums = functional.one_hot(targets, len(classes)).to(directions).T @ directions
    own = functional.normalize(sums[targets] - directions)
    cosines = directions @ functional.normalize(sums).T
    return cosines.scatter(1, targets[:, None], (directions * own).sum(1, keepdim=True)), targets


Way = Callable[[str, int, int], Any]  # takes the name of a pair loss, classes, embedding size


def _pairs(make_distance: Callable[[int], Any], price: float = 0.0) -> Way:
    return lambda loss, _, size: OfPairs(LOSSES[loss](distance=make_distance(size)), price)


WAYS: dict[str, Way] = {
    "cosine": _pairs(lambda _: CosineSimilarity()),
    "lorentz": _pairs(lambda _: LorentzSimilarity()),
    "halfway": _pairs(HalfwayIn),
    "through": _pairs(StraightThrough),
    "soft": _pairs(SoftClip),
    "curvature": _pairs(lambda size: SoftClip(size, learn_curvature=True)),
    "flat": _pairs(lambda size: SoftClip(size, curvature=1e-3)),
    "price": _pairs(SoftClip, price=0.1),
    "prototypes": lambda _, classes, size: Prototypes(classes, size),
    "riemannian": lambda _, classes, size: BallPrototypes(classes, size),
    "ideal": lambda _, classes, size: IdealPrototypes(classes, size),
    "directions": lambda _, classes, size: Directions(classes, size),
    "cosines": lambda _, classes, size: CosinePrototypes(classes, size),
    "own_radius": lambda loss, _, size: OwnRadius(LOSSES[loss](), size),
}
