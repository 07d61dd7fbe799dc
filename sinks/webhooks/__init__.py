"""Alerts to on-call as Standard Webhooks: message, signed request, retries, dead letters."""
