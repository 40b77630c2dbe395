"""The parts of examples/train_image_retrieval.py."""
