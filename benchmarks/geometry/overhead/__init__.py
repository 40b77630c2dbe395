"""What AdaptiveNoiseAwareLoss costs beside the loss it wraps, and with very many classes.

Ways that are compared take turns; a ratio is the median over the rounds of the ratio within a
round.
"""
