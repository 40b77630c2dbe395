"""Pure tensor mathematics: no state and no pytorch-metric-learning."""
