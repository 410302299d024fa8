"""Files: written whole or line by line, read within bounds, named so that every system takes them."""
