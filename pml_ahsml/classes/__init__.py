"""Where classes lie."""
