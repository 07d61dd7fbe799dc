"""Grafana boards as code: built, checked, provisioned, pushed, and previewed without Grafana."""
