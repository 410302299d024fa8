"""The batch driver: shards, one job's life, what an earlier process left, collection, the queue's limit."""
