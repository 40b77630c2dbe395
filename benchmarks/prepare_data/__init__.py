"""Builds the files of the noise benchmark from their public sources."""
