"""Images: their size and colours, what they cost in tokens, and how they are fetched by URL."""
