"""Module state that is saved, moved and shared between ranks."""
