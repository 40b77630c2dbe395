"""What hyperbolic geometry costs compared with Euclidean, and what the wrapper costs."""
