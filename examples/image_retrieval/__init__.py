"""What examples/train_image_retrieval.py is made of."""
