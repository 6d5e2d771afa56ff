"""Vitrine: behavioural analytics and live hybrid recommendations from a shop's event log."""
