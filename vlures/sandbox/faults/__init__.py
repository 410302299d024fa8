"""What can go wrong at a provider: the kinds of faults, the active ones, and when they strike."""
