"""What the sandbox knows of an image: its size and colours, its tokens, and how it is fetched."""
