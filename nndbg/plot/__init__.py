"""How a training run went: reads the metrics it wrote, draws them for a terminal or a browser."""

from nndbg.plot.digits import read_images
from nndbg.plot.html import render_html
from nndbg.plot.metrics import Metrics, read_metrics
from nndbg.plot.terminal import render_terminal

__all__ = ["Metrics", "read_images", "read_metrics", "render_html", "render_terminal"]
