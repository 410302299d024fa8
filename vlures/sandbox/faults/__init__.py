"""What can go wrong at a provider: the kinds of faults, which are active, and what they do to a reply."""
