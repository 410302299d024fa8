"""Models on this machine, through transformers: image by image, each image encoded once for all its questions."""
