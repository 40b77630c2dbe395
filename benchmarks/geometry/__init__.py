"""What hyperbolic geometry costs beside Euclidean: time, memory, accuracy, neighbours, wrapper."""
