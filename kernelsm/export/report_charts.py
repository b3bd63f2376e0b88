"""Plotly figures inside one HTML file: as JSON that no name can end, drawn by a script of the file's own."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from kernelsm.charts.style import Chart

DRAW = r"""
(function () {
  "use strict";
  var charts = JSON.parse(document.getElementById("charts").textContent);
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  var printing = false;
  function shrink(chart) {
    (chart.layout.annotations || []).forEach(function (note) { note.font = {size: 11}; });
    chart.data.forEach(function (trace) {
      if (trace.type !== "heatmap") { return; }
      delete trace.texttemplate;
      if (trace.colorbar) {
        Object.assign(trace.colorbar, {orientation: "h", x: 0.5, y: 1.01, yanchor: "bottom", len: 1});
      }
      ["xaxis", "yaxis"].forEach(function (axis) {
        var ticks = chart.layout[axis].ticktext;
        if (ticks) { chart.layout[axis].ticktext = ticks.map(function (name) { return short(name, 13); }); }
      });
      chart.layout.height = 460;
    });
  }
  function unpaint(part) {
    // the fonts of a chart have the colour of one page: here they take that of the reader's
    Object.keys(part).forEach(function (key) {
      if (/font$/.test(key)) { delete part[key].color; }
      else if (part[key] && typeof part[key] === "object") { unpaint(part[key]); }
    });
  }
  function short(name, most) {
    // names are escaped: an entity is not cut in two
    var letters = name.match(/&[a-z]+;|[\s\S]/g) || [];
    return letters.length > most ? letters.slice(0, most - 1).join("") + "…" : name;
  }
  function draw() {
    var night = dark.matches && !printing, narrow = window.innerWidth < 600 && !printing;
    var ink = night ? "#d7dde6" : "#1f2733", line = night ? "#3a4350" : "#d9dee5";
    Object.keys(charts).forEach(function (name) {
      var chart = JSON.parse(JSON.stringify(charts[name]));
      var layout = chart.layout;
      layout.template = {};
      layout.paper_bgcolor = layout.plot_bgcolor = "rgba(0,0,0,0)";
      unpaint(layout);
      layout.font = {family: "system-ui, sans-serif", size: 13, color: ink};
      layout.autosize = true;
      chart.data.forEach(function (trace) {
        if (trace.colorbar) { unpaint(trace.colorbar); }
        if (trace.error_x) { trace.error_x.color = ink; }
      });
      Object.keys(layout).forEach(function (key) {
        if (/^[xy]axis/.test(key)) {
          layout[key].gridcolor = line;
          layout[key].zerolinecolor = ink;
          if (key.charAt(0) === "y") { layout[key].zeroline = false; }
          if (narrow && key.charAt(0) === "x" && (layout[key].title || {}).text) {
            layout[key].title.text = layout[key].title.text.replace(/^(observed) .*/, "$1").replace(", ", ",<br>");
          }
          layout[key].linecolor = line;
          layout[key].ticks = "";
        }
      });
      if (narrow) { shrink(chart); }
      if (night) {
        chart.dark.forEach(function (scale, index) {
          if (scale) { chart.data[index].colorscale = scale; }
        });
      }
      Plotly.react(name, chart.data, layout, {
        displaylogo: false, showSendToCloud: false, typesetMath: false, responsive: true,
        modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
        toImageButtonOptions: {format: "svg"}
      });
    });
  }
  draw();
  dark.addEventListener("change", draw);
  window.addEventListener("beforeprint", function () { printing = true; draw(); });
  window.addEventListener("afterprint", function () { printing = false; draw(); });
})();
"""


@dataclass(frozen=True)
class DrawnChart:
    """A chart of a report.

    Parameters
    ----------
    name : str
        Of its place in the page.
    chart : Chart
        As on a light page.
    on_dark : Chart, optional
        The same with the colour scales of a dark page, where they differ.
    """

    name: str
    chart: Chart
    on_dark: Chart | None = None

    @property
    def alt(self) -> str:
        """What it shows, for those who cannot see it."""
        return self.chart.alt

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.chart.figure.layout.height or 400)

    def to_json(self) -> dict[str, Any]:
        """Data, layout, and the colour scale of each trace on a dark page, where it has another."""
        light = _plain(self.chart)
        dark = _plain(self.on_dark) if self.on_dark else light
        scales = [trace.get("colorscale") if self.on_dark else None for trace in dark["data"]]
        light["layout"].pop("template", None)
        return {"data": light["data"], "layout": light["layout"], "dark": scales}


def _plain(chart: Chart) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(chart.figure.to_json())
    return found


def script_json(content: Any) -> str:
    r"""Return JSON for a script element: no text in it can end the element or begin another.

    Examples
    --------
    >>> script_json({"name": "</script><img>"})
    '{"name":"\\u003c/script\\u003e\\u003cimg\\u003e"}'
    """
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def script_hash(script: str) -> str:
    """Return the hash by which a content security policy lets this script run, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
