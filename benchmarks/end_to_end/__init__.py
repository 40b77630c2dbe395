"""A pre-trained CNN, fine-tuned end to end on photos that people labelled."""
