"""What may be asked: a folder per benchmark."""
