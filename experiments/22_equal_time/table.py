"""not yet"""
