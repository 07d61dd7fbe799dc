"""The same boards with the same SQL as self-contained HTML pages, for places without Grafana.

It reads the committed JSON of the boards (never the builders), does what Grafana would do with
macros, variables, units, value mappings and links, and draws with plotly. A page holds everything
it needs: no network, no other file.
"""

from dashboards.preview.render import NothingToShow, render_preview

__all__ = ["NothingToShow", "render_preview"]
