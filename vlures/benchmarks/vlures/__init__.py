"""The VLURes benchmark: four languages, eight tasks, images with their articles."""
