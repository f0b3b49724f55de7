"""Recipes in stages: several commands, one after the other, that use each other's results."""
