"""Collectors: one kernel interface each; they observe and know no threshold."""
