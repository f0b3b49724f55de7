"""Renewing a live index: mine with its model, train on, judge, build beside it, and stop before the switch."""
