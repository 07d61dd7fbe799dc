"""The demo: the whole way from hospital to webhook, ClickHouse and boards in one process."""

from streams.demo.command import demo

__all__ = ["demo"]
