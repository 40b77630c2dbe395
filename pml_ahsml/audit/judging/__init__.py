"""Which labels are wrong, from features that do not move."""
