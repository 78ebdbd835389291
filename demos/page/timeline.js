// The timeline of the tab Annotate: a lane for each label, its segments, and the time of the player.
"use strict";
(() => {
  const LEAST_SHOWN_SECONDS = 2;
  const EDGE_PIXELS = 7; // a press so near to a border moves the border
  const STILL_PIXELS = 3; // a pointer that moves less is a click
  const TICK_PIXELS = 70;
  const STEPS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

  const make = (tag, className, text = "", more = {}) =>
    Object.assign(document.createElement(tag), { className, textContent: text, ...more });
  const stamp = (seconds, digits = 3) => {
    const unit = 10 ** digits;
    const whole = Math.round(seconds * unit);
    const minutes = Math.floor(whole / unit / 60);
    const rest = ((whole - minutes * 60 * unit) / unit).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
  };

  /* `parts` are its elements: scroll, inner, ruler, lanes, now. It calls seek(time), select(id), move(id, start, end)
     when a drag ends, and peek(time) while a border moves. */
  class Timeline {
    constructor(parts, calls) {
      Object.assign(this, { parts, calls, duration: 1, zoom: 1, time: 0, marks: new Map() });
      this.elements = new Map(); // by the id of a segment
      this.rows = new Map(); // lanes, by label
      parts.scroll.addEventListener("scroll", () => this.ticks());
      parts.scroll.addEventListener(
        "wheel",
        (event) => {
          if (!event.ctrlKey) return;
          event.preventDefault();
          this.scale(event.deltaY < 0 ? 1.25 : 0.8, this.timeAt(event.clientX));
        },
        { passive: false },
      );
      parts.inner.addEventListener("pointerdown", (event) => this.press(event));
      new ResizeObserver(() => this.ticks()).observe(parts.scroll);
    }

    /* Begin with another video. */
    open(duration) {
      this.duration = duration;
      this.zoom = 1;
      this.elements.clear();
      this.rows.clear();
      this.parts.lanes.replaceChildren();
      this.scale(1);
      this.parts.ruler.setAttribute("aria-valuemax", duration.toFixed(3));
    }

    /* labels: {name, color}; segments: {id, label, start, end, proposal}; marks: label -> start of what is not ended. */
    show({ labels, segments, selected, marks }) {
      const names = new Set(labels.map(({ name }) => name));
      for (const [name, row] of this.rows) {
        if (names.has(name)) continue;
        row.remove();
        this.rows.delete(name);
      }
      labels.forEach(({ name, color }, place) => {
        if (!this.rows.has(name)) this.rows.set(name, make("div", "as-lane"));
        const row = this.rows.get(name);
        row.style.setProperty("--as-color", color);
        if (this.parts.lanes.children[place] !== row) this.parts.lanes.insertBefore(row, this.parts.lanes.children[place] || null);
      });
      const there = new Set(segments.map(({ id }) => id));
      for (const [id, element] of this.elements) {
        if (there.has(id) && element.isConnected) continue;
        element.remove();
        this.elements.delete(id);
      }
      for (const each of segments) {
        if (!this.elements.has(each.id)) this.elements.set(each.id, this.element(each.id));
        const element = this.elements.get(each.id);
        const row = this.rows.get(each.label);
        if (element.parentNode !== row) row.append(element);
        this.place(element, each.start, each.end);
        element.dataset.proposal = each.proposal ? "yes" : "";
        element.setAttribute("aria-pressed", String(each.id === selected));
        const name = `${each.label}, ${stamp(each.start)} to ${stamp(each.end)}${each.proposal ? ", proposal" : ""}`;
        element.setAttribute("aria-label", name);
        element.title = name;
      }
      this.segments = new Map(segments.map((each) => [each.id, each]));
      for (const [label, element] of this.marks) {
        if (marks.has(label) && element.isConnected) continue;
        element.remove();
        this.marks.delete(label);
      }
      for (const [label, start] of marks) {
        if (!this.marks.has(label)) this.marks.set(label, this.rows.get(label).appendChild(make("div", "as-segment as-open")));
        this.marks.get(label).dataset.start = start;
      }
      this.moved(this.time);
    }

    element(id) {
      const element = make("button", "as-segment", "", { type: "button" });
      element.dataset.id = id;
      element.addEventListener("click", () => this.calls.select(id));
      return element;
    }

    place(element, start, end) {
      element.style.left = `${(100 * start) / this.duration}%`;
      element.style.width = `${(100 * (end - start)) / this.duration}%`;
    }

    /* The player is at this time; a playing video stays in sight. */
    moved(time, playing = false) {
      this.time = time;
      const { now, scroll, ruler, inner } = this.parts;
      now.style.left = `${(100 * time) / this.duration}%`;
      ruler.setAttribute("aria-valuenow", time.toFixed(3));
      ruler.setAttribute("aria-valuetext", stamp(time));
      for (const element of this.marks.values()) {
        const start = Number(element.dataset.start);
        this.place(element, Math.min(start, time), Math.max(start, time));
      }
      if (!playing || this.zoom === 1) return;
      const x = (inner.clientWidth * time) / this.duration;
      if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - scroll.clientWidth / 10;
    }

    /* Zoom by a factor; what is at `time` stays where it is. */
    scale(factor, time = this.time) {
      const { scroll, inner } = this.parts;
      const before = (inner.clientWidth * time) / this.duration - scroll.scrollLeft;
      this.zoom = Math.min(Math.max(1, this.zoom * factor), Math.max(1, this.duration / LEAST_SHOWN_SECONDS));
      inner.style.width = `${100 * this.zoom}%`;
      scroll.scrollLeft = (inner.clientWidth * time) / this.duration - before;
      this.ticks();
    }

    fit() {
      this.scale(1 / this.zoom);
    }

    /* Bring a time into sight. */
    reveal(time) {
      const { scroll, inner } = this.parts;
      const x = (inner.clientWidth * time) / this.duration;
      if (x < scroll.scrollLeft || x > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = x - scroll.clientWidth / 3;
    }

    ticks() {
      const { scroll, inner, ruler } = this.parts;
      const perSecond = inner.clientWidth / this.duration;
      if (!perSecond) return;
      const step = STEPS.find((each) => each * perSecond >= TICK_PIXELS) || STEPS[STEPS.length - 1];
      const first = Math.floor(scroll.scrollLeft / perSecond / step);
      const last = Math.min(Math.floor(this.duration / step), Math.ceil((scroll.scrollLeft + scroll.clientWidth) / perSecond / step));
      const ticks = [];
      for (let number = first; number <= last; number++) {
        const tick = make("span", "as-tick", stamp(number * step, step < 0.1 ? 2 : step < 1 ? 1 : 0));
        tick.style.left = `${number * step * perSecond}px`;
        ticks.push(tick);
      }
      ruler.replaceChildren(...ticks);
    }

    timeAt(x) {
      const box = this.parts.inner.getBoundingClientRect();
      return Math.min(this.duration, Math.max(0, ((x - box.left) / box.width) * this.duration));
    }

    press(event) {
      if (event.button) return;
      const element = event.target.closest(".as-segment:not(.as-open)");
      if (element) this.drag(event, element);
      else this.scrub(event);
    }

    /* Follow a pointer until it is released; `end(whole)` is told whether it was. */
    follow(event, element, move, end) {
      element.setPointerCapture(event.pointerId);
      const stop = (last) => {
        element.removeEventListener("pointermove", move);
        for (const name of ["pointerup", "pointercancel"]) element.removeEventListener(name, stop);
        end(last.type === "pointerup");
      };
      element.addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, stop);
    }

    scrub(event) {
      const isRuler = event.target.closest(".as-ruler");
      if (event.pointerType === "touch" && !isRuler) return this.calls.seek(this.timeAt(event.clientX));
      this.calls.seek(this.timeAt(event.clientX));
      this.follow(event, this.parts.ruler, (each) => this.calls.seek(this.timeAt(each.clientX)), () => {});
    }

    drag(event, element) {
      const { id, start, end } = this.segments.get(element.dataset.id);
      const box = element.getBoundingClientRect();
      const edge = Math.min(EDGE_PIXELS, box.width / 3);
      const isStart = event.clientX - box.left < edge;
      const isEnd = !isStart && box.right - event.clientX < edge;
      const begun = this.timeAt(event.clientX);
      let at = null;
      const move = (each) => {
        if (at === null && Math.abs(each.clientX - event.clientX) < STILL_PIXELS) return;
        const by = Math.max(-start, Math.min(this.duration - end, this.timeAt(each.clientX) - begun));
        const to = this.timeAt(each.clientX);
        if (isStart) at = [Math.min(to, end - 0.001), end];
        else if (isEnd) at = [start, Math.max(to, start + 0.001)];
        else at = [start + by, end + by];
        this.place(element, ...at);
        this.calls.peek(isEnd ? at[1] : at[0]);
      };
      this.follow(event, element, move, (whole) => {
        if (at && whole) this.calls.move(id, ...at);
        else if (at) this.place(element, start, end);
      });
    }
  }

  Object.assign(window.actionstream, { Timeline, make, stamp });
})();
