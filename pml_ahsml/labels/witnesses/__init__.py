"""What speaks for a class: each witness in a file of its own."""
