"""Verdicts on a run's answers: a judge's, whose questions are those answers, and people's, who fill in sheets."""
