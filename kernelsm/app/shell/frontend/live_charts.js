// Charts that follow a slider while it is dragged, without asking the server.
//
// The server sends, for every stop of a slider, where the marks of the charts on the page lie ("frames"). While the
// slider moves, this script hides those marks of Plotly's and draws them at their new places in a layer above the
// chart. On release Streamlit sends the value as ever and the server draws the real chart: then the layer goes.
// Names and numbers are set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const ASK_AFTER = 300; // milliseconds without a touch before missing frames are asked for
const SAY_AFTER = 400; // ... before a screen reader hears where the slider stands
const FOLLOW_FOR = 1500; // ... after the last touch while the slider is still looked at
const REDRAWN_WITHIN = 800; // ... after which the chart counts as drawn anew when the server has answered

const instances = new WeakMap();

export default function ({ data, parentElement, setTriggerValue }) {
  const live = instances.get(parentElement) || new Live(parentElement);
  instances.set(parentElement, live);
  const turn = live.take(data, setTriggerValue);
  return () => live.end(turn);
}

class Live {
  constructor(parent) {
    this.parent = parent;
    this.turn = 0;
    this.data = { sliders: [] };
    this.shown = null; // {key, stop} that the layers show
    this.layers = new Map(); // chart's key -> Layer
    this.touched = -Infinity;
    this.pressed = false;
    this.near = null; // key of the slider that the pointer or the keys were on last
    this.following = null; // key of the slider that is looked at in every frame of the screen
    this.region = region(parent);
    this.listeners = [
      [document, "pointerdown", (event) => this.touch(event, true)],
      [document, "keydown", (event) => this.touch(event)],
      [document, "input", (event) => this.touch(event)],
      [document, "pointerover", (event) => this.approach(event)],
      [document, "focusin", (event) => this.approach(event)],
      [document, "click", (event) => this.leave(event)],
      [window, "pointerup", () => this.release()],
      [window, "pointercancel", () => this.release()],
    ];
    for (const [target, name, act] of this.listeners) target.addEventListener(name, act, true);
  }

  // the server has drawn the page: what it says now is the truth
  take(data, ask) {
    this.data = data;
    this.ask = ask;
    const known = data.sliders.filter((slider) => slider.frames);
    this.region.dataset.ready = known.map((slider) => slider.key).join(" ");
    const slider = this.shown && this.slider(this.shown.key);
    if (this.shown && (!slider || slider.at === this.shown.stop)) {
      this.settled = true;
      clearTimeout(this.settling);
      if ([...this.layers.values()].some((layer) => layer.justRedrawn())) this.clear();
      else this.settling = setTimeout(() => this.settled && this.clear(), REDRAWN_WITHIN);
    }
    this.wanted();
    return ++this.turn;
  }

  end(turn) {
    if (turn !== this.turn) return; // a later drawing of the same component has taken over
    clearTimeout(this.asking);
    clearTimeout(this.settling);
    clearTimeout(this.saying);
    for (const [target, name, act] of this.listeners) target.removeEventListener(name, act, true);
    this.clear();
    this.region.remove();
    instances.delete(this.parent);
  }

  slider(key) {
    return this.data.sliders.find((slider) => slider.key === key);
  }

  // ask for what is missing once nobody touches anything; of the slider that was touched last before the others
  wanted() {
    clearTimeout(this.asking);
    const missing = this.data.sliders.filter((slider) => slider.frames === null);
    if (!missing.length) return;
    missing.sort((one, other) => (other.key === this.near) - (one.key === this.near));
    this.asking = setTimeout(() => {
      const busy = this.pressed || this.shown || performance.now() - this.touched < ASK_AFTER || document.hidden;
      if (busy) this.wanted();
      else this.ask("wanted", missing.map((slider) => slider.key));
    }, ASK_AFTER);
  }

  // a link may lead to another page, on which nothing answers a question of this one
  leave(event) {
    if (event.target.closest?.("a")) clearTimeout(this.asking);
  }

  // the pointer or the keys have come to a slider
  approach(event) {
    const slider = this.at(event);
    if (slider) this.near = slider.key;
  }

  at(event) {
    return this.data.sliders.find((slider) => event.target.closest?.(`.st-key-${slider.key}`));
  }

  touch(event, pressed = false) {
    const slider = this.at(event);
    if (!slider) return;
    this.near = slider.key;
    this.touched = performance.now();
    this.pressed = this.pressed || pressed;
    const follows = this.following;
    this.following = slider.key;
    if (!follows) requestAnimationFrame(() => this.follow());
  }

  release() {
    if (this.pressed) this.touched = performance.now();
    this.pressed = false;
  }

  // one look a frame of the screen at where the slider stands
  follow() {
    const slider = this.slider(this.following);
    const input = document.querySelector(`.st-key-${this.following} input[type=range]`);
    if (slider && input && slider.frames && Number(input.max) - Number(input.min) + 1 === slider.frames.length) {
      const stop = Number(input.value) - Number(input.min);
      const moved = this.shown ? this.shown.stop !== stop || this.shown.key !== slider.key : stop !== slider.at;
      if (moved) this.show(slider, stop);
      else if (this.shown && stop === slider.at && !this.pressed && !this.settled) this.clear();
    }
    if (this.pressed || this.shown || performance.now() - this.touched < FOLLOW_FOR) {
      requestAnimationFrame(() => this.follow());
    } else {
      this.following = null;
    }
  }

  show(slider, stop) {
    const frame = slider.frames[stop];
    if (this.shown && this.shown.key !== slider.key) this.clear();
    this.shown = { key: slider.key, stop };
    this.settled = false;
    for (const [key, marks] of Object.entries(frame.charts)) {
      const chart = document.querySelector(`.st-key-${key} .js-plotly-plot`);
      if (!chart || !chart._fullLayout) continue;
      let layer = this.layers.get(key);
      if (!layer || layer.chart !== chart) {
        layer?.remove();
        layer = new Layer(chart, () => this.redrawn());
        this.layers.set(key, layer);
      }
      layer.draw(marks);
    }
    for (const [key, texts] of Object.entries(frame.texts)) {
      const places = document.querySelectorAll(`.st-key-${key} [data-testid=stMetricValue]`);
      places.forEach((place, i) => write(place, texts[i]));
    }
    this.fade(stop !== slider.at);
    this.say(frame.said);
  }

  redrawn() {
    if (this.settled) this.clear();
    else for (const layer of this.layers.values()) layer.draw(layer.marks);
  }

  clear() {
    for (const layer of this.layers.values()) layer.remove();
    this.layers.clear();
    this.fade(false);
    this.shown = null;
    this.settled = false;
    clearTimeout(this.settling);
  }

  // what is not known before the release is pale until then
  fade(pale) {
    for (const selector of this.data.fades || []) {
      for (const place of document.querySelectorAll(selector)) place.style.opacity = pale ? "0.35" : "";
    }
  }

  say(text) {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => (this.region.textContent = text), SAY_AFTER);
  }
}

// a layer above one chart, in which marks are drawn; the chart's own are hidden meanwhile
class Layer {
  constructor(chart, redrawn) {
    this.chart = chart;
    this.hidden = [];
    this.redrawnAt = -Infinity;
    this.svg = element("svg", { class: "kernelsm-live" });
    this.svg.style.cssText = "position:absolute;left:0;top:0;pointer-events:none";
    chart.querySelector(".svg-container").append(this.svg);
    this.after = () => {
      this.redrawnAt = performance.now();
      redrawn();
    };
    chart.on("plotly_afterplot", this.after);
  }

  justRedrawn() {
    return performance.now() - this.redrawnAt < 300;
  }

  draw(marks) {
    this.marks = marks;
    const { width, height } = this.chart._fullLayout;
    this.svg.setAttribute("width", width);
    this.svg.setAttribute("height", height);
    this.svg.replaceChildren();
    this.hide(marks);
    for (const mark of marks) {
      const own = mark.trace === undefined ? {} : this.chart._fullData[mark.trace] || {};
      this.trace({ ...own, ...mark });
    }
  }

  // all traces are replaced where a mark names none
  hide(marks) {
    this.reveal();
    const all = marks.some((mark) => mark.trace === undefined);
    const uids = marks.map((mark) => this.chart._fullData[mark.trace]?.uid);
    for (const group of this.chart.querySelectorAll(".scatterlayer > .trace")) {
      if (all || uids.some((uid) => uid && group.classList.contains(`trace${uid}`))) {
        group.style.visibility = "hidden";
        this.hidden.push(group);
      }
    }
  }

  reveal() {
    for (const group of this.hidden) group.style.visibility = "";
    this.hidden = [];
  }

  trace(trace) {
    const [x, y] = ["x", "y"].map((letter) => this.axis(trace[`${letter}axis`] || letter));
    if (!x || !y) return;
    const points = [];
    for (let i = 0; i < Math.min(trace.x.length, trace.y.length); i++) {
      const known = trace.x[i] !== null && trace.y[i] !== null;
      points.push(known ? { i, x: x(trace.x[i]), y: y(trace.y[i]) } : null);
    }
    if (trace.mode.includes("lines")) this.line(trace, points);
    if (trace.error_x?.array) this.bars(trace, points, x, "x");
    if (trace.error_y?.array) this.bars(trace, points, y, "y");
    if (trace.mode.includes("markers")) this.markers(trace.marker, points);
  }

  // places on the screen, at the edge of the chart where they lie beyond it
  axis(name) {
    const axis = this.chart._fullLayout[`${name[0]}axis${name.slice(1)}`];
    if (!axis) return null;
    return (value) => axis._offset + Math.min(Math.max(axis.d2p(value), 0), axis._length);
  }

  line(trace, points) {
    const { color, width, dash } = trace.line;
    const path = element("path", { d: outline(points), fill: "none", stroke: color, "stroke-width": width });
    if (dash === "dot") path.setAttribute("stroke-dasharray", `${Math.max(width, 3)} ${Math.max(width, 3)}`);
    this.svg.append(path);
  }

  bars(trace, points, scale, letter) {
    const { array, color, thickness, width } = trace[`error_${letter}`];
    let d = "";
    for (const point of points) {
      if (!point || array[point.i] === null) continue;
      const value = trace[letter][point.i];
      const [from, to] = [scale(value - array[point.i]), scale(value + array[point.i])];
      d +=
        letter === "x"
          ? `M${from},${point.y}H${to}M${from},${point.y - width}v${2 * width}M${to},${point.y - width}v${2 * width}`
          : `M${point.x},${from}V${to}M${point.x - width},${from}h${2 * width}M${point.x - width},${to}h${2 * width}`;
    }
    this.svg.append(element("path", { d, fill: "none", stroke: color, "stroke-width": thickness }));
  }

  markers(marker, points) {
    const [symbol, open] = (marker.symbol || "circle").split("-");
    const r = marker.size / 2;
    const paint = open
      ? { fill: "none", stroke: marker.color, "stroke-width": marker.line?.width || 1 }
      : { fill: marker.color };
    for (const point of points) {
      if (!point) continue;
      const at = `translate(${point.x},${point.y})`;
      this.svg.append(element("path", { d: SHAPES[symbol](r), transform: at, opacity: marker.opacity ?? 1, ...paint }));
    }
  }

  remove() {
    this.reveal();
    this.svg.remove();
    this.chart.removeListener?.("plotly_afterplot", this.after);
  }
}

// as large as Plotly draws them
const SHAPES = {
  circle: (r) => `M${r},0A${r},${r} 0 1,1 0,${-r}A${r},${r} 0 0,1 ${r},0Z`,
  square: (r) => `M${r},${r}H${-r}V${-r}H${r}Z`,
  diamond: (r) => `M${1.3 * r},0L0,${1.3 * r}L${-1.3 * r},0L0,${-1.3 * r}Z`,
};

function outline(points) {
  let d = "";
  let pen = "M";
  for (const point of points) {
    if (point) d += `${pen}${point.x},${point.y}`;
    pen = point ? "L" : "M";
  }
  return d;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

// words for screen readers alone
function region(parent) {
  const made = document.createElement("div");
  made.setAttribute("role", "status");
  made.setAttribute("aria-live", "polite");
  made.className = "kernelsm-live-said";
  made.style.cssText = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap";
  parent.append(made);
  return made;
}

// change the words that React drew without taking its place from it
function write(place, text) {
  const words = document.createTreeWalker(place, NodeFilter.SHOW_TEXT).nextNode();
  if (words && words.nodeValue !== text) words.nodeValue = text;
}
