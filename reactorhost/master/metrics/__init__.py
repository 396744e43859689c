"""The metrics of a host for Prometheus: what they are, how they are collected, and the text of a scrape."""
