"""What LorentzSimilarity does where a loss had a cosine or its default distance."""
