"""One offline page that shows runs: what was asked, what was answered, what was said of it."""
