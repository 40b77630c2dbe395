"""State that travels with a module, and between ranks."""
