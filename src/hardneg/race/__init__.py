"""Races: a portfolio of strategies, a budget of time, and a decision between them."""
