"""The report as one HTML file that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from importlib import resources

from hardneg import __version__
from hardneg.ab import figures
from hardneg.ab.report import Report
from hardneg.ab.tables import gate, headline, shown, tables


def page(report: Report, texts: bool = True) -> str:
    """Write the page; every text is escaped, and the page forbids scripts whatever a text holds."""
    from jinja2 import Environment
    from markupsafe import Markup

    source = resources.files("hardneg.ab").joinpath("report.html").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    # matplotlib escapes what it writes into an SVG.
    drawn = [(name, Markup(figures.svg(figure, name))) for name, figure in figures.draw(report)]
    return template.render(
        report=report,
        version=__version__,
        headline=headline(report),
        gate=gate(report),
        tables=list(tables(report)),
        figures=drawn,
        examples=[shown(example, report, texts) for example in report.examples],
    )
