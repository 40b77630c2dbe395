"""How well the trust of a trained loss finds wrong labels, beside scores that others use."""
