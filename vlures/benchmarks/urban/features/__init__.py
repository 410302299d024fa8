"""What models see in street views: the metadata that questions about them are made from."""
