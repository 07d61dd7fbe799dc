"""What leaves the platform: rows to ClickHouse, alerts to the webhook receiver.

Each sink reads the log in its own consumer group and commits an offset only when what stands before
it is safe on the other side. So a sink that is down, or whose other side is down, delays and never
loses; what it repeats is told apart by identity (a row's key and version, a webhook's id).
"""
