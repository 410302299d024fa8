"""Local models, in an environment of their own (`make local`): tiny models with random weights, built in code."""
