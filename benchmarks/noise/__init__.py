"""Wrong labels: plain training, PRISM, our wrapper, and training on right labels only."""
