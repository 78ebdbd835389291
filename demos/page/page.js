// Camera, bars, strips and player of the page; teach.js has the tab Teach. There is no build step.
// All requests go to the server that sent this file.
"use strict";
(() => {
  const HISTORY_SECONDS = 30;
  const MANY_CLASSES = 20; // with more classes, a strip has rows for the best only
  const ROWS_OF_MANY = 12;
  const BARS = 5;
  const DRAW_EVERY_MS = 100;
  const FIGURES_EVERY_MS = 250;

  const find = (name) => document.querySelector(`[data-part="${name}"]`);
  const show = (name, text) => {
    const element = find(name);
    if (element && element.textContent !== text) element.textContent = text;
  };
  const colours = (element, names) => {
    const style = getComputedStyle(element);
    return names.map((name) => style.getPropertyValue(name).trim());
  };
  const clock = (seconds, digits = 0) => {
    const whole = Math.floor(seconds * 10 ** digits) / 10 ** digits;
    return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
  };

  /* Bars of the best labels, with animated positions. */
  class Bars {
    constructor(root) {
      this.root = root;
      this.rows = new Map();
    }

    show(best) {
      const shown = new Set();
      best.slice(0, BARS).forEach(([label, score], place) => {
        shown.add(label);
        const row = this.rows.get(label) || this.add(label);
        row.style.transform = `translateY(${place * 2.1}rem)`;
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

  /* A row for each class, with scores as colour and events as marks: of the last seconds, or of a whole video. */
  class Strip {
    constructor(canvas, labels, { interval, span, rolling }) {
      Object.assign(this, { canvas, labels, interval, span, rolling });
      this.columns = new Map(); // number of a column -> its scores by class
      this.events = []; // {label, start, end}; end is null while it goes on
      this.first = 0;
      this.last = 0;
      this.now = 0;
      this.cursor = null;
      this.gap = Math.max(0.5, 8 * interval);
      this.waiting = false;
      this.drawn = 0;
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

    rows() {
      if (this.labels.length <= MANY_CLASSES) return this.labels.map((_, index) => index);
      const best = new Map();
      for (const scores of this.columns.values()) {
        for (const [index, score] of scores) best.set(index, Math.max(score, best.get(index) || 0));
      }
      const ranked = [...best].sort((a, b) => b[1] - a[1]).slice(0, ROWS_OF_MANY);
      return ranked.map(([index]) => index).sort((a, b) => a - b);
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
      return Math.min(130, Math.max(64, this.canvas.clientWidth * 0.2));
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
      const rows = this.rows();
      const high = 22;
      const width = canvas.clientWidth;
      if (!width) return;
      const height = rows.length * high + 20;
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
      const [ink, faint, cold, hot, mark] = colours(canvas, ["--as-ink", "--as-faint", "--as-empty", "--as-hot", "--as-mark"]);
      pen.font = "12px system-ui, sans-serif";
      pen.textBaseline = "middle";
      const first = Math.floor(begin / interval);
      const last = Math.ceil((begin + span) / interval);
      const small = this.small || (this.small = document.createElement("canvas"));
      small.width = last - first + 1;
      small.height = rows.length;
      const dots = small.getContext("2d");
      const pixels = dots.createImageData(small.width, small.height);
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hot.slice(at, at + 2), 16));
      const rowOf = new Map(rows.map((index, row) => [index, row]));
      for (const [column, scores] of this.columns) {
        if (column < first || column > last) continue;
        for (const [index, score] of scores) {
          const row = rowOf.get(index);
          if (row !== undefined) pixels.data.set([red, green, blue, 255 * score], 4 * (row * small.width + column - first));
        }
      }
      dots.putImageData(pixels, 0, 0);
      rows.forEach((index, row) => {
        const top = row * high;
        pen.fillStyle = cold;
        pen.fillRect(left, top, width - left, high - 3);
        pen.fillStyle = ink;
        pen.fillText(this.labels[index], 0, top + high / 2 - 1, left - 8);
      });
      pen.save();
      pen.beginPath();
      rows.forEach((_, row) => pen.rect(left, row * high, width - left, high - 3));
      pen.clip();
      pen.imageSmoothingEnabled = false;
      const offset = place((first - 0.5) * interval);
      pen.drawImage(small, offset, 0, place((last + 0.5) * interval) - offset, rows.length * high);
      pen.fillStyle = mark;
      for (const each of this.events) {
        const row = rows.indexOf(this.labels.indexOf(each.label));
        if (row < 0) continue;
        const from = Math.max(left, place(each.start));
        const to = Math.min(width, place(each.end === null ? this.now : each.end));
        if (to < left) continue;
        pen.globalAlpha = each.score === undefined ? 1 : 0.35 + 0.65 * each.score;
        pen.fillRect(from, row * high + high - 8, Math.max(2, to - from), 5);
      }
      pen.restore();
      pen.fillStyle = faint;
      const write = (text, time) => {
        pen.fillText(text, Math.min(place(time), width - pen.measureText(text).width), height - 8);
      };
      for (let back = span; this.rolling && back >= 0; back -= 10) write(back ? `${-back} s` : "now", this.now - back);
      const step = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800].find((each) => span / each <= (width - left) / 60) || 3600;
      for (let time = 0; !this.rolling && time <= span; time += step) write(clock(time), time);
      if (this.cursor !== null) {
        pen.fillStyle = ink;
        pen.fillRect(place(this.cursor) - 1, 0, 2, rows.length * high);
      }
    }
  }

  /* A live stream of the camera or of an address; `prefix` begins the names of its parts of the page. */
  class Live {
    static all = [];

    constructor(prefix) {
      Object.assign(this, { prefix, ticket: null, run: 0, threshold: 0.6, smoothing: 0.3 });
      this.mostInFlight = 2; // requests of frames at once
      this.begin();
      Live.all.push(this);
    }

    begin() {
      Object.assign(this, { sent: new Map(), times: [], latencies: [], missed: 0, inFlight: 0, told: 0 });
    }

    part(name) {
      return find(`${this.prefix}-${name}`);
    }

    show(name, text) {
      show(`${this.prefix}-${name}`, text);
    }

    say(text) {
      this.show("message", text);
    }

    async start(ticket) {
      if (!ticket) return;
      this.stop(false);
      for (const other of Live.all) if (other.ticket) other.stop(); // a page has one stream
      const run = ++this.run;
      this.ticket = ticket;
      this.bars = new Bars(this.part("bars"));
      this.part("bars").replaceChildren();
      this.strip = this.newStrip(ticket);
      this.begin();
      this.say(ticket.camera ? "Waiting for the camera" : "Connecting");
      try {
        if (ticket.camera) await this.camera(run);
        else this.address(run);
      } catch (error) {
        if (run !== this.run) return;
        this.stop();
        const denied = error.name === "NotAllowedError";
        const none = !navigator.mediaDevices;
        this.say(
          none
            ? "A browser gives its camera only to pages from https or from this machine."
            : denied
              ? "The browser does not allow this page to use the camera."
              : `No camera can be used: ${error.message || error.name}`,
        );
      }
    }

    newStrip({ labels, interval }) {
      return new Strip(this.part("strip"), labels, { interval, span: HISTORY_SECONDS, rolling: true });
    }

    stop(clear = true) {
      this.run++;
      const ticket = this.ticket;
      this.ticket = null;
      if (ticket) fetch(`live/${ticket.token}/leave`, { method: "POST", keepalive: true }).catch(() => {});
      const video = this.part("video");
      if (video && video.srcObject) {
        for (const track of video.srcObject.getTracks()) track.stop();
        video.srcObject = null;
      }
      if (this.part("stage")) this.part("stage").dataset.on = "";
      if (clear) {
        this.say("Stopped");
        this.show("label", "-");
        this.part("label").dataset.warming = "";
      }
    }

    reset() {
      if (this.ticket) fetch(`live/${this.ticket.token}/reset`, { method: "POST" });
    }

    adjust(threshold, smoothing) {
      Object.assign(this, { threshold, smoothing });
      if (this.ticket) {
        fetch(`live/${this.ticket.token}/adjust?threshold=${threshold}&smoothing=${smoothing}`, { method: "POST" });
      }
    }

    overlay(on) {
      this.part("stage").dataset.overlay = on ? "yes" : "";
    }

    async camera(run) {
      const { shortSide, interval, token } = this.ticket;
      // keeps the stream alive while the visitor answers the camera prompt
      const ask = () => fetch(`live/${token}/frame`, { method: "POST" });
      const asking = setInterval(() => ask().then((answer) => this.take(run, answer), () => {}), 2000);
      const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
      let media;
      try {
        media = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      } finally {
        clearInterval(asking);
      }
      const video = this.part("video");
      if (run !== this.run) {
        for (const track of media.getTracks()) track.stop();
        return;
      }
      video.srcObject = media;
      this.part("stage").dataset.on = "camera";
      await video.play();
      const canvas = document.createElement("canvas");
      const pen = canvas.getContext("2d", { alpha: false });
      const origin = (this.origin = performance.now());
      let next = 0;
      let before = null;
      const frame = (now) => {
        if (run !== this.run) return;
        video.requestVideoFrameCallback(frame);
        const time = (now - origin) / 1000;
        const spacing = before === null ? 0 : time - before;
        before = time;
        if (time + Math.min(spacing, interval) / 2 < next) return; // the model wants one each interval
        next = Math.max(next + interval, time + interval / 2);
        if (this.inFlight >= this.mostInFlight) {
          this.missed++;
          return;
        }
        const scale = Math.min(1, shortSide / Math.min(video.videoWidth, video.videoHeight));
        const [width, height] = [video.videoWidth, video.videoHeight].map((side) => Math.round(side * scale));
        if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
        pen.imageSmoothingQuality = "high";
        pen.drawImage(video, 0, 0, width, height);
        this.inFlight++;
        this.sent.set(time.toFixed(4), now);
        canvas.toBlob((blob) => this.send(run, blob, time), "image/jpeg", 0.85);
      };
      video.requestVideoFrameCallback(frame);
    }

    async send(run, blob, time) {
      try {
        const answer = await fetch(`live/${this.ticket?.token}/frame?time=${time.toFixed(4)}`, {
          method: "POST",
          body: blob,
        });
        await this.take(run, answer);
      } catch (error) {
        if (run === this.run) this.say("The server does not answer");
      } finally {
        if (run === this.run) this.inFlight--;
      }
    }

    async address(run) {
      const picture = this.part("picture");
      this.part("stage").dataset.on = "address";
      let loading = false;
      picture.onload = picture.onerror = () => (loading = false);
      while (run === this.run) {
        try {
          const answer = await fetch(`live/${this.ticket.token}/frame`, { method: "POST" });
          const news = await this.take(run, answer);
          if (!answer.ok) await new Promise((done) => setTimeout(done, 1000));
          if (news && !loading && run === this.run) {
            loading = true;
            picture.src = `live/${this.ticket.token}/picture?n=${performance.now()}`;
          }
        } catch (error) {
          if (run !== this.run) return;
          this.say("The server does not answer");
          await new Promise((done) => setTimeout(done, 1000));
        }
      }
    }

    /* Handle an answer of the server; returns whether it has predictions. */
    async take(run, answer) {
      if (run !== this.run) return false;
      if (!answer.ok) {
        const text = await answer.text();
        if (run !== this.run) return false;
        this.say(text);
        return false;
      }
      const told = await answer.json();
      if (run !== this.run) return false;
      if (told.gone) {
        this.stop();
        this.say("The stream ended: another one began, or this page sent nothing for a while; start it again");
        return false;
      }
      let predictions = 0;
      for (const each of told.news) {
        if (each.notice) this.notice(each);
        else {
          predictions++;
          this.prediction(each);
        }
      }
      this.figures(told);
      if (told.failure || told.ended) {
        const reason = told.failure || this.ending;
        this.stop();
        this.say(reason || "The stream has ended");
      }
      return predictions > 0;
    }

    notice({ notice, reason, events }) {
      for (const each of events) this.strip.event(each);
      if (notice === "close") this.ending = reason;
      else this.say(reason || "");
    }

    /* Measure the latency of a prediction, and the rate. */
    measure(time, latency) {
      const now = performance.now();
      const key = time.toFixed(4);
      this.latencies.push(this.sent.has(key) ? now - this.sent.get(key) : latency);
      this.sent.delete(key);
      if (this.sent.size > 100) this.sent.clear();
      this.times.push(now);
      while (this.times.length > 1 && this.times[0] < now - 2000) {
        this.times.shift();
        this.latencies.shift();
      }
    }

    prediction({ time, scores, events, latency_ms, warm, reset }) {
      this.measure(time, latency_ms);
      if (time + 1 < this.strip.now) this.strip.columns.clear(); // the file starts again
      const { labels, context } = this.ticket;
      for (const each of events) this.strip.event(each);
      this.part("label").dataset.warming = warm <= context ? "yes" : "";
      if (warm <= context) {
        if (reset) this.strip.last = -1;
        this.show("label", "…");
        this.show("overlay", "warming up");
        return;
      }
      this.strip.put(time, scores);
      this.bars.show(scores.map(([index, score]) => [labels[index], score]));
      const [best, score] = scores[0];
      this.show("label", labels[best]);
      this.part("label").dataset.sure = score >= this.threshold ? "yes" : "";
      this.show("overlay", `${labels[best]} ${score.toFixed(2)}`);
    }

    figures({ labelled, lost, streams }) {
      const now = performance.now();
      if (now < this.told + FIGURES_EVERY_MS) return;
      this.told = now;
      const span = this.times.length > 1 ? (this.times[this.times.length - 1] - this.times[0]) / 1000 : 0;
      const middle = [...this.latencies].sort((a, b) => a - b)[this.latencies.length >> 1];
      this.show("rate", span ? ((this.times.length - 1) / span).toFixed(1) : "-");
      this.show("latency", middle === undefined ? "-" : `${Math.round(middle)} ms`);
      this.show("drops", String(lost + this.missed));
      this.show("labelled", String(labelled));
      this.show("streams", String(streams));
    }
  }

  const live = new Live("live");

  /* The tab Video: a player, and its timeline below. */
  const video = {
    token: null,
    asking: false,
    wanted: null,

    async show(ticket) {
      if (!ticket) return;
      const { token } = ticket;
      this.token = token;
      const answer = await fetch(`video/${token}/timeline`);
      if (!answer.ok || this.token !== token) return;
      const found = await answer.json();
      find("video-result").hidden = false;
      show("video-remarks", [found.name, ...found.remarks].join(". "));
      show("video-trouble", "");
      find("video-bars").replaceChildren();
      this.bars = new Bars(find("video-bars"));
      this.duration = found.duration;
      this.fillStrip(found);
      this.fillTable(found.segments);
      find("video-overall").replaceChildren(
        ...found.overall.slice(0, 3).map(([label, score]) => {
          return Object.assign(document.createElement("li"), { textContent: `${label} ${score.toFixed(2)}` });
        }),
      );
      find("video-downloads").replaceChildren(
        ...found.files.map((kind) => {
          const link = Object.assign(document.createElement("a"), { href: `video/${token}/download/${kind}`, download: "" });
          link.textContent = `Download ${kind.toUpperCase()}`;
          return link;
        }),
      );
      this.listen();
      find("video-player").src = `video/${token}/file`;
      this.moved();
    },

    fillStrip({ labels, columns, duration, segments }) {
      const canvas = find("video-strip");
      const interval = duration / columns.length;
      this.strip = new Strip(canvas, labels, { interval, span: duration, rolling: false });
      columns.forEach((column, number) => {
        const scores = column.map((score, row) => [row, score]).filter(([, score]) => score !== null);
        this.strip.columns.set(number, scores);
      });
      this.strip.events = segments;
      canvas.setAttribute("aria-valuemax", duration.toFixed(1));
    },

    fillTable(segments) {
      const body = find("video-segments");
      body.replaceChildren();
      for (const { start, end, label, score } of segments) {
        const row = body.insertRow();
        const jump = Object.assign(document.createElement("button"), { type: "button", textContent: clock(start, 1) });
        row.insertCell().append(jump);
        for (const text of [clock(end, 1), label, score.toFixed(2)]) row.insertCell().textContent = text;
        row.addEventListener("click", () => this.seek(start));
      }
    },

    listen() {
      const player = find("video-player");
      if (player.dataset.heard) return;
      player.dataset.heard = "yes";
      for (const name of ["timeupdate", "seeking", "seeked"]) player.addEventListener(name, () => this.moved());
      player.addEventListener("error", () => {
        show("video-trouble", "This browser cannot play the video; the strip and the table work all the same");
      });
      const canvas = find("video-strip");
      const point = (event) => this.seek(this.strip.timeAt(event.clientX - canvas.getBoundingClientRect().left));
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        point(event);
      });
      canvas.addEventListener("pointermove", (event) => event.buttons && point(event));
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        this.seek(Math.min(this.duration, Math.max(0, this.time() + step)));
      });
    },

    time() {
      const player = find("video-player");
      return player.error ? this.place || 0 : player.currentTime;
    },

    seek(time) {
      const player = find("video-player");
      this.place = time;
      player.currentTime = Math.min(time, player.duration || time);
      if (player.error) this.moved();
    },

    /* The player has moved: fetch the live prediction for its time. Only the newest time is requested. */
    async moved() {
      this.wanted = this.time();
      this.strip.cursor = this.wanted;
      this.strip.later();
      find("video-strip").setAttribute("aria-valuenow", this.wanted.toFixed(1));
      find("video-strip").setAttribute("aria-valuetext", clock(this.wanted, 1));
      if (this.asking) return;
      this.asking = true;
      try {
        while (this.wanted !== null) {
          const [token, time] = [this.token, this.wanted];
          this.wanted = null;
          const answer = await fetch(`video/${token}/at?time=${time}`);
          if (!answer.ok || token !== this.token) continue;
          const { best } = await answer.json();
          show("video-time", clock(time, 1));
          show("video-label", best.length ? best[0][0] : "-");
          find("video-label").dataset.sure = best.length && best[0][1] >= live.threshold ? "yes" : "";
          this.bars.show(best);
        }
      } catch (error) {
        show("video-trouble", "The server does not answer");
      } finally {
        this.asking = false;
      }
    },
  };

  /* The tab Compare: two strips, one below the other. */
  const compare = {
    strips: [],

    show(found) {
      if (!found) return;
      find("compare-result").hidden = false;
      const span = Math.max(...found.sides.map((side) => side.duration));
      this.strips = found.sides.map(({ name, figures, labels, interval, rows }, place) => {
        const which = ["first", "second"][place];
        show(`compare-${which}`, `${name}: ${figures}`);
        const strip = new Strip(find(`compare-strip-${which}`), labels, { interval, span, rolling: false });
        for (const { time, scores, events } of rows) {
          for (const each of events) strip.event(each);
          strip.put(time, scores);
        }
        return strip;
      });
    },
  };

  const search = (text) => {
    const words = text.toLowerCase().split(/\s+/);
    for (const row of find("models-rows").rows) {
      const whole = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => whole.includes(word));
    }
  };

  addEventListener("pagehide", () => {
    for (const { ticket } of Live.all) if (ticket) navigator.sendBeacon(`live/${ticket.token}/leave`);
  });
  const redraw = () => {
    for (const strip of [live.strip, video.strip, ...compare.strips]) if (strip) strip.later();
  };
  new ResizeObserver(redraw).observe(document.documentElement);
  addEventListener("DOMContentLoaded", () => {
    new MutationObserver(redraw).observe(document.body, { attributeFilter: ["class"] }); // dark or light
  });
  window.actionstream = { live, video, compare, search, Live, find, show };
})();
