// A live stream of the camera or of an address: frames go out, answers come in. teach.js and sample.js build on it.
"use strict";
(() => {
  const { Bars, Strip, find, show, fail } = window.actionstream;
  const HISTORY_SECONDS = 30;
  const FIGURES_EVERY_MS = 250;
  const NOTHING = "nothing"; // the headline where no score reaches the threshold
  const SILENT = "The server does not answer";

  /* `prefix` begins the names of its parts of the page, and of the hidden button that asks the server for a stream. */
  class Live {
    static all = [];

    constructor(prefix) {
      Object.assign(this, { prefix, ticket: null, busy: false, run: 0, threshold: 0.6, smoothing: 0.3 });
      this.mostInFlight = 2; // requests of frames at once
      this.rest = () => {}; // called when it has stopped
      this.begin();
      Live.all.push(this);
    }

    begin() {
      Object.assign(this, { sent: new Map(), times: [], latencies: [], missed: 0, inFlight: 0, figured: 0 });
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

    /* An error, on the picture; "" removes it. One that passes goes with the next good answer. */
    fail(text, passes = false) {
      fail(`${this.prefix}-error`, text);
      this.passes = passes;
    }

    /* What the one button says, and what is on the stage: camera, address, waiting, or "" at rest. */
    turn(busy, on) {
      this.busy = busy;
      if (!this.part("stage")) return;
      this.part("stage").dataset.on = on;
      const button = this.part("start");
      button.textContent = busy ? button.dataset.busy : button.dataset.idle;
      button.dataset.stops = busy ? "yes" : "";
    }

    toggle() {
      if (this.busy) this.stop();
      else this.connect();
    }

    /* Ask the server for a stream; `start` gets its answer. */
    connect() {
      for (const other of Live.all) if (other !== this && other.busy) other.stop(); // a page has one stream
      this.fail("");
      this.say("Starting");
      if (!this.ticket) {
        this.turn(true, "waiting");
        this.clear();
      }
      document.getElementById(`${this.prefix}-begin`).click();
    }

    async start(ticket) {
      if (!ticket || ticket.error) {
        if (!this.ticket) this.stop(""); // else the stream that runs goes on
        this.fail(ticket ? ticket.error : SILENT);
        return;
      }
      if (!this.busy) {
        this.leave(ticket); // it was stopped meanwhile
        return;
      }
      this.disconnect();
      const run = ++this.run;
      this.ticket = ticket;
      this.prepare(ticket);
      this.begin();
      this.say(ticket.camera ? "Waiting for the camera; allow it if your browser asks" : "Connecting");
      try {
        if (ticket.camera) await this.camera(run);
        else this.address(run);
      } catch (error) {
        if (run !== this.run) return;
        this.stop("");
        const denied = error.name === "NotAllowedError";
        const none = !navigator.mediaDevices;
        this.fail(
          none
            ? "A browser gives its camera only to pages from https or from this machine."
            : denied
              ? "The browser does not allow this page to use the camera. Allow it beside the address, and start again."
              : `No camera can be used: ${error.message || error.name}`,
        );
      }
    }

    /* Empty bars and strip for scores of these labels. */
    prepare(about) {
      this.clear();
      this.about = about;
      this.part("label").setAttribute("aria-live", "polite");
      this.bars = new Bars(this.part("bars"));
      this.strip = this.newStrip(about);
    }

    /* `span`: of a video whose scores are all known; without it, of the last seconds. */
    newStrip({ labels, interval, quiet, span }) {
      this.show("strip-title", span ? "The sample" : "The last 30 seconds");
      return new Strip(this.part("strip"), labels, { interval, quiet, span: span || HISTORY_SECONDS, rolling: !span });
    }

    leave({ token }) {
      fetch(`live/${token}/leave`, { method: "POST", keepalive: true }).catch(() => {});
    }

    /* End the stream; what it has shown stays. */
    disconnect() {
      this.run++;
      const ticket = this.ticket;
      this.ticket = null;
      if (ticket) this.leave(ticket);
      const video = this.part("video");
      if (video && video.srcObject) {
        for (const track of video.srcObject.getTracks()) track.stop();
        video.srcObject = null;
      }
    }

    /* End the stream, and all that it has shown. */
    stop(text = "Stopped") {
      this.disconnect();
      this.turn(false, "");
      this.clear();
      this.say(text);
      this.rest();
    }

    clear() {
      if (!this.part("label")) return;
      this.part("bars").replaceChildren();
      if (this.strip) this.strip.clear();
      this.strip = null;
      this.headline("", false);
      this.part("label").dataset.warming = "";
      this.show("overlay", "");
      this.part("figures").hidden = true;
    }

    headline(text, sure) {
      this.show("label", text);
      this.part("label").dataset.sure = sure ? "yes" : "";
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
      this.turn(true, "camera");
      this.say("");
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
        if (run === this.run) this.fail(SILENT, true);
      } finally {
        if (run === this.run) this.inFlight--;
      }
    }

    async address(run) {
      const picture = this.part("picture");
      let loading = false;
      picture.removeAttribute("src"); // the last frame of the address before
      picture.onerror = () => (loading = false);
      picture.onload = () => {
        loading = false;
        if (run === this.run) this.turn(true, "address");
      };
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
          this.fail(SILENT, true);
          await new Promise((done) => setTimeout(done, 1000));
        }
      }
    }

    /* Handle an answer of the server; returns whether it has predictions. */
    async take(run, answer) {
      if (run !== this.run) return false;
      if (!answer.ok) {
        const text = await answer.text();
        if (run === this.run) this.fail(text, true);
        return false;
      }
      const told = await answer.json();
      if (run !== this.run) return false;
      if (told.gone) {
        this.stop("");
        this.fail("The stream ended: another one began, or this page sent nothing for a while. Start it again.");
        return false;
      }
      if (this.passes) this.fail("");
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
        this.stop(reason ? "" : "The stream has ended");
        this.fail(reason || "");
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
      const warming = warm <= this.about.context;
      this.part("label").dataset.warming = warming ? "yes" : "";
      if (warming) {
        for (const each of events) this.strip.event(each);
        if (reset) this.strip.last = -1;
        this.headline("…", false);
        this.show("overlay", "warming up");
      } else {
        this.mark({ time, scores, events });
        this.tell(scores);
      }
    }

    /* Put a moment into the strip, with the events that begin or end then. */
    mark({ time, scores, events }) {
      for (const each of events) this.strip.event(each);
      this.strip.put(time, scores);
    }

    /* Show what the scores of now say. */
    tell(scores) {
      const { labels, quiet } = this.about;
      this.bars.show(scores.map(([index, score]) => [labels[index], score]));
      const [best, score] = scores[0];
      const sure = score >= this.threshold;
      this.headline(sure ? labels[best] : NOTHING, sure && !quiet.includes(best));
      this.show("overlay", sure ? `${labels[best]} ${score.toFixed(2)}` : NOTHING);
    }

    figures({ labelled, lost, streams }) {
      const now = performance.now();
      if (!labelled || now < this.figured + FIGURES_EVERY_MS) return;
      this.figured = now;
      this.part("figures").hidden = false;
      const span = this.times.length > 1 ? (this.times[this.times.length - 1] - this.times[0]) / 1000 : 0;
      const middle = [...this.latencies].sort((a, b) => a - b)[this.latencies.length >> 1];
      this.show("rate", span ? ((this.times.length - 1) / span).toFixed(1) : "…");
      this.show("latency", middle === undefined ? "…" : `${Math.round(middle)} ms`);
      this.show("drops", String(lost + this.missed));
      this.show("labelled", String(labelled));
      this.show("streams", String(streams));
    }
  }

  const live = new Live("live");
  const ADDRESS = "An address";

  /* What the visitor has chosen, in the order in which the server takes it. */
  live.chosen = () => {
    const number = (name) => Number(live.part(name).value);
    return [live.part("sources").querySelector(":checked").value, live.part("address").value, number("threshold"), number("smoothing")];
  };

  document.addEventListener("click", (event) => {
    const does = {
      "live-start": () => live.toggle(),
      "live-reset": () => live.reset(),
      "teach-start": () => window.actionstream.teach.toggle(),
    }[event.target.closest?.("button")?.dataset.part];
    if (does) does();
  });
  document.addEventListener("keydown", (event) => {
    const isField = event.target.dataset?.part === "live-address";
    if (!isField || event.key !== "Enter" || event.isComposing) return;
    live.connect(); // also while another address is shown
  });
  document.addEventListener("input", ({ target }) => {
    const name = target.dataset?.part;
    if (name === "live-overlay-on") live.part("stage").dataset.overlay = target.checked ? "yes" : "";
    if (name === "live-threshold" || name === "live-smoothing") {
      show(`${name}-value`, Number(target.value).toFixed(2));
      const [, , threshold, smoothing] = live.chosen();
      live.adjust(threshold, smoothing);
    }
    if (target.name === "live-source") {
      const isAddress = target.value === ADDRESS;
      live.part("address").closest("label").hidden = !isAddress;
      const button = live.part("start");
      button.dataset.idle = isAddress ? "Start" : "Start the camera";
      if (!live.busy) button.textContent = button.dataset.idle;
      if (isAddress) live.part("address").focus();
    }
  });
  addEventListener("pagehide", () => {
    for (const { ticket } of Live.all) if (ticket) navigator.sendBeacon(`live/${ticket.token}/leave`);
  });

  Object.assign(window.actionstream, { Live, live, NOTHING });
})();
