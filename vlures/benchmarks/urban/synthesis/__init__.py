"""Questions with answers from what is known about a street view: facts, label rules, texts, QA files."""
