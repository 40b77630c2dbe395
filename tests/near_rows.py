"""Rows that cover all cases of the distance kernel."""

import torch


def mixed(dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Rows with a few near pairs, many near pairs, equal rows, zeros, and rows to be clipped."""
    far = torch.randn(12, 6, dtype=torch.float64)
    near = far[:3] + 1e-3 * torch.randn(3, 6, dtype=torch.float64)
    collapsed = far[5] + 1e-3 * torch.randn(9, 6, dtype=torch.float64)
    e = torch.cat([far, near, collapsed, far[:2], torch.zeros(1, 6, dtype=torch.float64)])
    return e.to(dtype)
