"""Sheets for people: a random sample of answers goes out, blind, as .xlsx and HTML files, and scores come back.

Out: candidates (which answers there are) → drawing → arranging (a rater's order, with repeats and bad items) → a
workbook and a page for each rater, and the key, which stays with the researcher. In: returned files → rows → verdicts,
and how reliable each rater is.
"""
