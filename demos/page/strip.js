// Bars of the best labels, and strips: scores as colour over time, a row for each class.
"use strict";
(() => {
  const { clock } = window.actionstream;
  const MANY_CLASSES = 20; // with more classes, a strip has rows for the best only
  const ROWS_OF_MANY = 12;
  const ROW = 20; // pixels, as below
  const APART = 7; // between the classes and those that mean that nothing happens
  const AXIS = 18;
  const BARS = 5;
  const DRAW_EVERY_MS = 100;

  const colours = (element, names) => {
    const style = getComputedStyle(element);
    return names.map((name) => style.getPropertyValue(name).trim());
  };
  const numbers = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

  /* Bars of the best labels, with animated positions. */
  class Bars {
    constructor(root) {
      this.root = root;
      this.rows = new Map();
      root.replaceChildren();
    }

    show(best) {
      const shown = new Set();
      // in the order of what is written: scores that are written alike keep their places
      const written = ([, score]) => Math.round(100 * score);
      const sorted = [...best].sort((a, b) => written(b) - written(a) || (a[0] < b[0] ? -1 : 1));
      sorted.slice(0, BARS).forEach(([label, score], place) => {
        shown.add(label);
        const row = this.rows.get(label) || this.add(label);
        row.style.transform = `translateY(${place * 1.72}rem)`;
        row.querySelector(".as-fill").style.transform = `scaleX(${score.toFixed(3)})`;
        row.querySelector(".as-score").textContent = score.toFixed(2);
      });
      for (const [label, row] of this.rows) {
        if (!shown.has(label)) {
          row.remove();
          this.rows.delete(label);
        }
      }
    }

    add(label) {
      const row = document.createElement("div");
      row.className = "as-bar";
      for (const name of ["as-name", "as-track", "as-score"]) {
        row.append(Object.assign(document.createElement("span"), { className: name }));
      }
      row.children[0].textContent = label;
      row.children[0].title = label;
      row.children[1].append(Object.assign(document.createElement("span"), { className: "as-fill" }));
      this.root.append(row);
      this.rows.set(label, row);
      return row;
    }
  }

  /* A row for each class, with scores as colour and events as marks: of the last seconds, or of a whole video.
     `quiet` are the classes that mean that nothing happens; their rows are the last ones, and pale. */
  class Strip {
    static all = new Set();

    constructor(canvas, labels, { interval, span, rolling, quiet = [] }) {
      Object.assign(this, { canvas, labels, interval, span, rolling, quiet: new Set(quiet) });
      this.columns = new Map(); // number of a column -> its scores by class
      this.events = []; // {label, start, end}; end is null while it goes on
      this.last = 0;
      this.now = 0;
      this.cursor = null;
      this.gap = Math.max(0.5, 8 * interval);
      this.waiting = false;
      this.drawn = 0;
      canvas.closest(".as-strip").dataset.quiet = quiet.length ? "yes" : ""; // the legend says what is pale
      for (const other of Strip.all) if (other.canvas === canvas) Strip.all.delete(other); // one strip on a canvas
      Strip.all.add(this);
      this.later();
    }

    put(time, scores) {
      const column = Math.round(time / this.interval);
      const before = this.columns.get(this.last);
      if (before && (column - this.last) * this.interval < this.gap) {
        for (let between = this.last + 1; between < column; between++) this.columns.set(between, before);
      }
      this.columns.set(column, scores);
      this.last = column;
      this.now = Math.max(this.now, time);
      if (this.rolling) {
        for (const old of this.columns.keys()) {
          if (old * this.interval < this.now - this.span - 1) this.columns.delete(old);
          else break;
        }
        this.events = this.events.filter((each) => each.end === null || each.end > this.now - this.span);
      }
      this.later();
    }

    event(each) {
      const open = this.events.find((other) => other.label === each.label && other.end === null);
      if (each.event === "start") this.events.push({ label: each.label, start: each.time_seconds, end: null });
      else if (open) open.end = each.time_seconds;
    }

    /* End the events that go on. */
    endEvents() {
      for (const each of this.events) each.end ??= this.now;
    }

    /* The classes that are shown, those that mean that nothing happens last. */
    rows() {
      let shown = this.labels.map((_, index) => index);
      if (shown.length > MANY_CLASSES) {
        const best = new Map();
        for (const scores of this.columns.values()) {
          for (const [index, score] of scores) best.set(index, Math.max(score, best.get(index) || 0));
        }
        const ranked = [...best].sort((a, b) => b[1] - a[1]).slice(0, ROWS_OF_MANY);
        shown = ranked.map(([index]) => index).sort((a, b) => a - b);
      }
      return [...shown.filter((index) => !this.quiet.has(index)), ...shown.filter((index) => this.quiet.has(index))];
    }

    later() {
      if (this.waiting) return;
      this.waiting = true;
      const due = this.drawn + DRAW_EVERY_MS - performance.now();
      setTimeout(
        () =>
          requestAnimationFrame((now) => {
            this.waiting = false;
            this.drawn = now;
            this.draw();
          }),
        Math.max(0, due),
      );
    }

    left() {
      return Math.min(130, Math.max(84, this.canvas.clientWidth * 0.2));
    }

    begin() {
      return this.rolling ? this.now - this.span : 0;
    }

    timeAt(x) {
      const left = this.left();
      return this.begin() + Math.min(1, Math.max(0, (x - left) / (this.canvas.clientWidth - left))) * this.span;
    }

    draw() {
      const { canvas, interval, span } = this;
      const width = canvas.clientWidth;
      if (!width || !Strip.all.has(this)) return;
      const rows = this.rows();
      const numLoud = rows.filter((index) => !this.quiet.has(index)).length;
      const gap = numLoud && numLoud < rows.length ? APART : 0;
      const top = (row) => row * ROW + (row >= numLoud ? gap : 0);
      const bottom = rows.length * ROW + gap;
      const height = bottom + AXIS;
      const dense = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * dense) || canvas.height !== Math.round(height * dense)) {
        canvas.width = Math.round(width * dense);
        canvas.height = Math.round(height * dense);
        canvas.style.height = `${height}px`;
      }
      const pen = canvas.getContext("2d");
      pen.setTransform(dense, 0, 0, dense, 0, 0);
      pen.clearRect(0, 0, width, height);
      const left = this.left();
      const begin = this.begin();
      const place = (time) => left + ((time - begin) / span) * (width - left);
      const names = ["--as-ink", "--as-faint", "--as-empty", "--as-hot", "--as-quiet", "--as-mark"];
      const [ink, faint, cold, hot, pale, mark] = colours(canvas, names);
      pen.font = "12px system-ui, sans-serif";
      pen.textBaseline = "middle";
      rows.forEach((index, row) => {
        pen.fillStyle = cold;
        pen.fillRect(left, top(row), width - left, ROW - 3);
        pen.fillStyle = row < numLoud ? ink : faint;
        pen.fillText(this.labels[index], 0, top(row) + ROW / 2 - 1, left - 8);
      });

      const first = Math.floor(begin / interval);
      const last = Math.ceil((begin + span) / interval);
      const small = this.small || (this.small = document.createElement("canvas"));
      small.width = last - first + 1;
      small.height = rows.length;
      const dots = small.getContext("2d");
      const pixels = dots.createImageData(small.width, small.height);
      const [loud, quiet] = [numbers(hot), numbers(pale)];
      const rowOf = new Map(rows.map((index, row) => [index, row]));
      for (const [column, scores] of this.columns) {
        if (column < first || column > last) continue;
        for (const [index, score] of scores) {
          const row = rowOf.get(index);
          if (row === undefined) continue;
          pixels.data.set([...(row < numLoud ? loud : quiet), 255 * score], 4 * (row * small.width + column - first));
        }
      }
      dots.putImageData(pixels, 0, 0);
      pen.save();
      pen.beginPath();
      rows.forEach((_, row) => pen.rect(left, top(row), width - left, ROW - 3));
      pen.clip();
      pen.imageSmoothingEnabled = false;
      const offset = place((first - 0.5) * interval);
      const length = place((last + 0.5) * interval) - offset;
      for (const [from, to] of [[0, numLoud], [numLoud, rows.length]]) {
        if (to > from) pen.drawImage(small, 0, from, small.width, to - from, offset, top(from), length, (to - from) * ROW);
      }
      for (const each of this.events) {
        const row = rows.indexOf(this.labels.indexOf(each.label));
        if (row < 0) continue;
        const from = Math.max(left, place(each.start));
        const to = Math.min(width, place(each.end === null ? this.now : each.end));
        if (to < left) continue;
        pen.fillStyle = row < numLoud ? mark : faint;
        pen.globalAlpha = each.score === undefined ? 1 : 0.35 + 0.65 * each.score;
        pen.fillRect(from, top(row) + ROW - 8, Math.max(2, to - from), 5);
      }
      pen.restore();

      pen.fillStyle = faint;
      const write = (text, time) => {
        pen.fillText(text, Math.min(place(time), width - pen.measureText(text).width), height - AXIS / 2);
      };
      for (let back = span; this.rolling && back >= 0; back -= 10) write(back ? `${-back} s` : "now", this.now - back);
      const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((each) => span / each <= (width - left) / 60) || 3600;
      for (let time = 0; !this.rolling && time <= span; time += step) write(clock(time), time);
      if (this.cursor !== null) {
        pen.fillStyle = ink;
        pen.fillRect(place(this.cursor) - 1, 0, 2, bottom);
      }
    }

    /* Nothing is left of it on its canvas. */
    clear() {
      Strip.all.delete(this);
      this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    }
  }

  const redraw = () => {
    for (const strip of Strip.all) strip.later();
  };
  new ResizeObserver(redraw).observe(document.documentElement);
  const watchTheme = () => new MutationObserver(redraw).observe(document.body, { attributeFilter: ["class"] }); // dark or light
  if (document.body) watchTheme();
  else addEventListener("DOMContentLoaded", watchTheme);
  Object.assign(window.actionstream, { Bars, Strip });
})();
