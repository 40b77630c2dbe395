"""Geometry of the Poincaré ball: maps, distances and nearest rows."""
