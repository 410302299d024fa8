"""Streets drawn by a program, so that every label about them is true by construction."""
