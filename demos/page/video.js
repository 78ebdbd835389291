// The tabs Video and Compare: a player with its strip and segments, and two strips one below the other.
"use strict";
(() => {
  const { Bars, Strip, NOTHING, find, show, fail, clock, live } = window.actionstream;

  /* The tab Video. */
  const video = {
    token: null,
    asking: false,
    wanted: null,

    async show(ticket) {
      if (!ticket) {
        this.token = null; // the server has forgotten the video before as well
        find("video-player").pause();
        find("video-result").hidden = true;
        return;
      }
      const { token } = ticket;
      this.token = token;
      const answer = await fetch(`video/${token}/timeline`);
      if (!answer.ok || this.token !== token) return;
      const found = await answer.json();
      find("video-result").hidden = false;
      show("video-remarks", [found.name, ...found.remarks].join(". "));
      fail("video-error", "");
      this.bars = new Bars(find("video-bars"));
      this.duration = found.duration;
      this.fillStrip(found);
      this.fillTables(found);
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

    fillStrip({ labels, quiet, columns, duration, segments }) {
      const canvas = find("video-strip");
      const interval = duration / columns.length;
      this.strip = new Strip(canvas, labels, { interval, quiet, span: duration, rolling: false });
      columns.forEach((column, number) => {
        const scores = column.map((score, row) => [row, score]).filter(([, score]) => score !== null);
        this.strip.columns.set(number, scores);
      });
      this.strip.events = segments;
      canvas.setAttribute("aria-valuemax", duration.toFixed(1));
    },

    /* Segments in which something happens, and apart those in which nothing does. */
    fillTables({ segments, labels, quiet }) {
      const still = new Set(quiet.map((index) => labels[index]));
      const isStill = ({ label }) => still.has(label);
      this.fillTable("segments", segments.filter((each) => !isStill(each)));
      this.fillTable("quiet", segments.filter(isStill));
      find("video-none").hidden = segments.some((each) => !isStill(each));
    },

    fillTable(name, segments) {
      const body = find(`video-${name}`);
      body.replaceChildren();
      body.hidden = !segments.length;
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
        fail("video-error", "This browser cannot play the video. The strip and the table work all the same.");
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
          const sure = best.length > 0 && best[0][1] >= live.threshold;
          show("video-time", clock(time, 1));
          show("video-label", sure ? best[0][0] : best.length ? NOTHING : "…");
          find("video-label").dataset.warming = best.length ? "" : "yes";
          find("video-label").dataset.sure = sure ? "yes" : "";
          this.bars.show(best);
        }
      } catch (error) {
        fail("video-error", "The server does not answer");
      } finally {
        this.asking = false;
      }
    },
  };

  /* The tab Compare. */
  const compare = {
    strips: [],

    show(found) {
      find("compare-result").hidden = !found;
      if (!found) return;
      const span = Math.max(...found.sides.map((side) => side.duration));
      this.strips = found.sides.map(({ name, figures, labels, quiet, interval, rows }, place) => {
        const which = ["first", "second"][place];
        show(`compare-${which}`, name);
        show(`compare-figures-${which}`, figures);
        const strip = new Strip(find(`compare-strip-${which}`), labels, { interval, quiet, span, rolling: false });
        for (const { time, scores, events } of rows) {
          for (const each of events) strip.event(each);
          strip.put(time, scores);
        }
        return strip;
      });
    },
  };

  Object.assign(window.actionstream, { video, compare });
})();
