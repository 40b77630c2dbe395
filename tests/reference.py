"""The equations as plain float64 loops, which the tests compare with."""

import math

import torch
from torch import Tensor


def poincare_distance(u: Tensor, v: Tensor, c: float) -> float:
    """d(x, y) = (2/√c)·artanh(√c·‖(−x) ⊕ y‖) of the exponential maps x, y of u, v."""
    x, y = _expmap0(u, c), _expmap0(v, c)
    return 2 / math.sqrt(c) * math.atanh(math.sqrt(c) * _norm(_mobius_add([-a for a in x], y, c)))


def distance_matrix(us: Tensor, vs: Tensor, c: float) -> Tensor:
    return torch.tensor([[poincare_distance(u, v, c) for v in vs] for u in us], dtype=torch.float64)


def lorentz_similarity_matrix(us: Tensor, vs: Tensor, c: float, r: float) -> Tensor:
    """1 − 2(cosh √c·d − 1)/(cosh √c·4r − 1), with −⟨x, y⟩ = cosh √c·d of the lifted points."""

    def lift(u: Tensor) -> list[float]:
        norm = _norm(u.tolist())
        radius = 2 * math.sqrt(c) * norm
        stretch = math.sinh(radius) / norm if norm else 0.0
        return [math.cosh(radius), *(stretch * a for a in u.tolist())]

    def one(u: Tensor, v: Tensor) -> float:
        x, y = lift(u), lift(v)
        excess = x[0] * y[0] - _dot(x[1:], y[1:]) - 1
        return 1 - 2 * excess / (math.cosh(math.sqrt(c) * 4 * r) - 1)

    return torch.tensor([[one(u, v) for v in vs] for u in us], dtype=torch.float64)


def einstein_midpoint(us: Tensor, c: float) -> list[float]:
    """Tangent vector of Σ γ_i k_i / Σ γ_i, with Klein coordinates k and Lorentz factors γ."""
    total, weights = [0.0] * us.shape[1], 0.0
    for u in us:
        x = _expmap0(u, c)
        k = [2 * a / (1 + c * _dot(x, x)) for a in x]
        gamma = 1 / math.sqrt(1 - c * _dot(k, k))
        total = [t + gamma * a for t, a in zip(total, k, strict=True)]
        weights += gamma
    k = [t / weights for t in total]
    x = [a / (1 + math.sqrt(1 - c * _dot(k, k))) for a in k]
    norm = math.sqrt(c) * _norm(x)
    return [math.atanh(norm) * a / norm for a in x] if norm > 0 else x


def variance_of_mean(weights: list[float], squares: list[float]) -> float:
    """(Σ w·|x − x̄|² / Σ w)/(n − 1) with n = (Σ w)²/Σ w²."""
    total = sum(weights)
    scatter = sum(w * s for w, s in zip(weights, squares, strict=True)) / total
    return scatter / (total**2 / sum(w * w for w in weights) - 1)


def class_similarity(s: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """S_aa over i < j in C_a, and S_ab over i in C_a, j in C_b."""
    members = [[i for i, y in enumerate(labels.tolist()) if y == k] for k in range(num_classes)]
    within = torch.full((num_classes,), math.nan, dtype=torch.float64)
    between = torch.full((num_classes, num_classes), math.nan, dtype=torch.float64)
    for a, rows in enumerate(members):
        n = len(rows)
        if n > 1:
            pairs = sum(float(s[i, j]) for i in rows for j in rows if i < j)
            within[a] = 2 / (n**2 - n) * pairs
        for b, others in enumerate(members):
            if a != b and n and others:
                total = sum(float(s[i, j]) for i in rows for j in others)
                between[a, b] = total / (n * len(others))
    return within, between


def rescale(values: Tensor, span: float) -> Tensor:
    known = [v for v in values.flatten().tolist() if not math.isnan(v)]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def one(v: float) -> float:
        return span / 2 if math.isnan(v) or high == low else span * (v - low) / (high - low)

    flat = [one(v) for v in values.flatten().tolist()]
    return torch.tensor(flat, dtype=torch.float64).reshape(values.shape)


def violating_pairs(
    s: Tensor, labels: Tensor, positive: Tensor, negative: Tensor
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Positive pairs with s_ij < M_p(a) and negative pairs with s_ij > M_n(a, b)."""
    positives, negatives = set(), set()
    for i, a in enumerate(labels.tolist()):
        for j, b in enumerate(labels.tolist()):
            if i != j and a == b and s[i, j] < positive[a]:
                positives.add((i, j))
            if a != b and s[i, j] > negative[a, b]:
                negatives.add((i, j))
    return positives, negatives


def pairs_near_the_hardest(
    s: Tensor, labels: Tensor, span: float
) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Positives with s_ij < max_n s_in + w·Ŝ_aa and negatives with s_ij > min_p s_ip − w·Ŝ_ab."""
    y = labels.tolist()
    everyone = range(len(y))
    within, between = class_similarity(s, labels, max(y) + 1)
    within, between = rescale(within, span), rescale(between, span)
    values = [float(s[i, j]) for i in everyone for j in everyone if i != j]
    w = (max(values) - min(values)) / 2
    positives, negatives = set(), set()
    for i in everyone:
        own = [j for j in everyone if j != i and y[j] == y[i]]
        others = [j for j in everyone if y[j] != y[i]]
        hardest_positive = min((float(s[i, j]) for j in own), default=math.inf)
        hardest_negative = max((float(s[i, j]) for j in others), default=-math.inf)
        positives |= {(i, j) for j in own if s[i, j] < hardest_negative + w * within[y[i]]}
        negatives |= {
            (i, j) for j in others if s[i, j] > hardest_positive - w * between[y[i], y[j]]
        }
    return positives, negatives


def likelihood(d: list[float], temperature: float, sizes: list[float]) -> list[float]:
    """p_i(k) ∝ n_k·exp(−d_k/τ)."""
    return _softmax([math.log(n) - x / temperature for x, n in zip(d, sizes, strict=True)])


def transition(divergence: Tensor, noise_rate: float, spread: float) -> list[list[float]]:
    """T_ky = 1 − ε if y = k, else ε·softmax_{y≠k}(−d(μ_k, μ_y)/σ)."""
    size = len(divergence)
    table = [[0.0] * size for _ in range(size)]
    for k in range(size):
        others = [y for y in range(size) if y != k]
        shares = _softmax([-float(divergence[k, y]) / spread for y in others])
        for y, share in zip(others, shares, strict=True):
            table[k][y] = noise_rate * share
        table[k][k] = 1 - noise_rate
    return table


def weight_of_distances(counts: list[list[float]], shares: list[list[float]]) -> float:
    """α = (Σ n²v − Q)/(Q − Σ n·v), v = 1 − Σ S², Q = Σ (C − n·S)²."""
    most = chance = found = 0.0
    for row, share in zip(counts, shares, strict=True):
        n, v = sum(row), 1 - sum(s * s for s in share)
        most, chance = most + n * n * v, chance + n * v
        found += sum((c - n * s) ** 2 for c, s in zip(row, share, strict=True))
    return max(0.0, most - found) / (found - chance) if found > chance else math.inf


def counted_transition(
    table: list[list[float]], counts: list[list[float]], own: list[float], label: int, alpha: float
) -> list[float]:
    """T̂_ky for one y: ε·(α·S + max(C − o, min(C, n·S)))/(α + n) for k ≠ y, S = T/ε."""
    column = []
    for k, row in enumerate(table):
        noise_rate, n = 1 - row[k], sum(counts[k])
        share, c = row[label] / noise_rate, counts[k][label]
        others = max(c - own[k], min(c, n * share))
        wrong = noise_rate * (alpha * share + others) / (alpha + n)
        column.append(row[k] if k == label else wrong)
    return column


def posterior(p: list[float], table: list[list[float]], label: int) -> tuple[list[float], float]:
    """t_i(k) ∝ p_i(k)·T_{k,y_i}, and the marginal likelihood Σ_k p_i(k)·T_{k,y_i}."""
    joint = [pk * table[k][label] for k, pk in enumerate(p)]
    return [x / sum(joint) for x in joint], sum(joint)


def _expmap0(u: Tensor, c: float) -> list[float]:
    u = [float(a) for a in u]
    norm = math.sqrt(c) * _norm(u)
    return [math.tanh(norm) * a / norm for a in u] if norm > 0 else u


def _mobius_add(x: list[float], y: list[float], c: float) -> list[float]:
    xy, xx, yy = _dot(x, y), _dot(x, x), _dot(y, y)
    denominator = 1 + 2 * c * xy + c**2 * xx * yy
    return [
        ((1 + 2 * c * xy + c * yy) * a + (1 - c * xx) * b) / denominator
        for a, b in zip(x, y, strict=True)
    ]


def _dot(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def _norm(x: list[float]) -> float:
    return math.sqrt(_dot(x, x))


def _softmax(x: list[float]) -> list[float]:
    top = max(x)
    e = [math.exp(a - top) for a in x]
    return [a / sum(e) for a in e]


def far_label_shares(
    distances: list[list[float]],
    weights: list[list[float]],
    labels: list[int],
    likelihood: list[list[float]],
) -> list[float]:
    """How many labels are of far classes, per random one: those given, right ones, p's own."""
    found, of_right, blur = 0.0, 0.0, 0.0
    for d, w, y, p in zip(distances, weights, labels, likelihood, strict=True):
        mean = sum(a * b for a, b in zip(d, w, strict=True) if b > 0) / sum(w)
        far = [b > 0 and a > mean for a, b in zip(d, w, strict=True)]
        at_random = sum(b for b, is_far in zip(w, far, strict=True) if is_far) / (sum(w) - 1)
        likeliest = sorted(range(len(p)), key=lambda k: -p[k])[:2]
        found += far[y] / at_random
        of_right += sum(p[k] for k in likeliest if far[k]) / at_random
        blur += sum(a for a, is_far in zip(p, far, strict=True) if is_far) / at_random
    return [total / len(labels) for total in (found, of_right, blur)]
