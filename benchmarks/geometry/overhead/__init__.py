"""What AdaptiveNoiseAwareLoss costs compared with the loss it wraps, and with very many classes.

Compared ways take turns; a ratio is the median over the rounds of the ratio within a round.
"""
