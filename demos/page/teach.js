// The tab Teach: record examples, correct what is said live, see what the model makes of its own examples.
"use strict";
(() => {
  const { Live, NOTHING, find, show, whenThere } = window.actionstream;
  const KEY = "actionstream lesson"; // of sessionStorage
  const CAPTION =
    "Each example, as the model takes it when it learns from all others only: a row for each label, a column for what it looks like";
  const CLICK_SECONDS = 0.4; // a shorter press is a click, which counts down first
  const ONCE_MS = 600; // the second half of a double click does nothing
  const PLAY_MS = 300;
  const LOOK_AGAIN_MS = 250;
  const OPEN_AGAIN_MS = 1000;
  const LATE_MS = 2000; // the longest wait for the last frame of an example

  const make = (tag, className, text = "", more = {}) =>
    Object.assign(document.createElement(tag), { className, textContent: text, ...more });
  const change = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const count = (number) => `${number} example${number === 1 ? "" : "s"}`;

  class Teach extends Live {
    constructor() {
      super("teach");
      this.mostInFlight = 4; // a snippet has two frames, and the first one waits for the second
      Object.assign(this, { lesson: null, state: null, recording: null, seen: -1, rows: new Map(), corrected: {} });
    }

    /* The token of the lesson that this tab of the browser had before a reload. */
    token() {
      try {
        return sessionStorage.getItem(KEY) || "";
      } catch {
        return ""; // the browser keeps nothing
      }
    }

    async open(ticket) {
      if (!ticket) {
        setTimeout(press, OPEN_AGAIN_MS); // the page was not connected yet
        return;
      }
      if (ticket.error) {
        this.fail(ticket.error);
        return;
      }
      this.maxSeconds = ticket.maxSeconds;
      if (this.lesson !== ticket.lesson) {
        this.lesson = ticket.lesson;
        this.state = null;
        this.rows.clear();
        find("teach-labels").replaceChildren();
      }
      try {
        sessionStorage.setItem(KEY, ticket.lesson);
      } catch {
        this.say("This browser keeps nothing: the examples are gone when the page is loaded again");
      }
      this.listen();
      await this.refresh();
    }

    listen() {
      const name = find("teach-name");
      if (name.dataset.heard) return;
      name.dataset.heard = "yes";
      const add = async () => {
        if (name.value.trim() && (await this.ask("add-label", {}, name.value))) name.value = "";
      };
      find("teach-add").addEventListener("click", add);
      name.addEventListener("keydown", (event) => {
        if (event.key === "Enter" && !event.isComposing) add();
      });
      document.addEventListener("keydown", (event) => this.key(event));
      addEventListener("blur", () => this.recording && !this.recording.counts && this.drop("the window lost the focus"));
      document.addEventListener("visibilitychange", () => document.hidden && this.drop("the page was hidden"));
    }

    /* 1 to 9: that was this label; 0: that was nothing. */
    key(event) {
      if (event.key === "Escape") this.drop("Escape was pressed");
      if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || !/^[0-9]$/.test(event.key)) return;
      if (event.target.closest("input, textarea, select, [contenteditable]")) return;
      if (!this.state || !find("teach-labels").offsetParent) return; // another tab is shown
      const label = this.state.labels[Number(event.key)];
      if (label) this.correct(label.name);
    }

    newStrip() {
      return null;
    }

    begin() {
      super.begin();
      this.seen = -1;
    }

    stop(text) {
      super.stop(text);
      this.drop("the camera stopped");
    }

    notice({ notice, reason }) {
      if (notice === "close") this.ending = reason;
      else this.say(reason || "");
    }

    prediction({ time, best, latency_ms, version }) {
      this.measure(time, latency_ms);
      this.seen = time;
      if (this.state && version !== this.state.version) this.refresh();
      this.bars.show(best);
      const [label, score] = best[0] || [this.state && this.state.ready ? "…" : "", 0];
      const sure = score >= this.threshold;
      this.headline(sure || !best.length ? label : NOTHING, sure && label !== NOTHING);
    }

    clock() {
      return (performance.now() - this.origin) / 1000;
    }

    /* Ask for a change; returns whether it is done. */
    async ask(what, query, label) {
      try {
        const answer = await fetch(`teach/${this.lesson}/${what}?${new URLSearchParams(query)}`, {
          method: "POST",
          body: label,
        });
        if (answer.ok) this.render(await answer.json());
        else this.say(answer.status === 404 ? "The server has forgotten these examples; load the page again" : await answer.text());
        return answer.ok;
      } catch {
        this.say("The server does not answer");
        return false;
      }
    }

    /* Fetch what the server has, again while it learns. */
    async refresh() {
      if (this.asking) return;
      this.asking = true;
      try {
        const answer = await fetch(`teach/${this.lesson}/state`);
        if (answer.ok) this.render(await answer.json());
      } catch {
        this.say("The server does not answer");
      } finally {
        this.asking = false;
      }
    }

    render(state) {
      if (this.state && state.version < this.state.version) return; // an older answer that came late
      this.state = state;
      clearTimeout(this.again);
      if (state.learning) this.again = setTimeout(() => this.refresh(), LOOK_AGAIN_MS);
      const ready = state.ready ? "The model is learnt; it is in use now" : "";
      show("teach-state", state.message || (state.learning ? "Learning" : ready));
      find("teach-download").hidden = !state.ready;
      find("teach-download").href = `teach/${this.lesson}/checkpoint`;
      const list = find("teach-labels");
      const names = new Set(state.labels.map(({ name }) => name));
      for (const [name, row] of this.rows) {
        if (names.has(name) && row.isConnected) continue;
        row.remove();
        this.rows.delete(name);
      }
      state.labels.forEach((label, number) => {
        if (!this.rows.has(label.name)) this.rows.set(label.name, this.newRow(label.name));
        const row = this.rows.get(label.name);
        if (list.children[number] !== row) list.insertBefore(row, list.children[number] || null);
        this.fillRow(row, label, number);
      });
      this.fillReport(state.report);
    }

    newRow(name) {
      const row = make("li", "as-row");
      const head = make("div", "as-row-head");
      const about = name === NOTHING ? "none of these; always one of the answers" : "";
      const hold = make("button", "as-hold", "Record", { type: "button" });
      hold.setAttribute("aria-label", `Record ${name}: hold, or click to count down`);
      const was = make("button", "as-was", "", { type: "button" });
      was.append(`That was ${name === NOTHING ? NOTHING : "it"} `, make("kbd", ""));
      was.setAttribute("aria-label", `That was ${name}`);
      was.addEventListener("click", () => this.correct(name));
      head.append(make("strong", "as-row-name", name), make("span", "as-count"), hold, was);
      if (name !== NOTHING) {
        const drop = make("button", "as-drop", "Remove", { type: "button" });
        drop.setAttribute("aria-label", `Remove the label ${name} with its examples`);
        drop.addEventListener("click", () => {
          const number = row.querySelectorAll(".as-clip").length;
          if (!number || confirm(`Remove ${name} with ${count(number)}?`)) this.ask("remove-label", {}, name);
        });
        head.append(drop);
      }
      row.append(head, ...(about ? [make("p", "as-moment", about)] : []), make("ol", "as-clips"));
      this.hear(hold, name);
      return row;
    }

    /* A button that is held, by pointer or key; a short press counts down first. */
    hear(button, label) {
      let key = -ONCE_MS; // when a key or a pointer last acted on it
      const act = (does) => {
        key = performance.now();
        does();
      };
      button.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        button.setPointerCapture(event.pointerId);
        act(() => this.press(label));
      });
      button.addEventListener("pointerup", () => act(() => this.release(label)));
      button.addEventListener("pointercancel", () => this.recording?.label === label && !this.recording.counts && this.drop("the touch was lost"));
      button.addEventListener("contextmenu", (event) => event.preventDefault());
      button.addEventListener("blur", () => this.recording?.label === label && this.recording.key && !this.recording.counts && this.drop("the button lost the focus"));
      for (const type of ["keydown", "keyup"]) {
        button.addEventListener(type, (event) => {
          if (event.key !== " " && event.key !== "Enter") return;
          event.preventDefault();
          if (event.repeat) return;
          act(() => (type === "keydown" ? this.press(label, true) : this.release(label)));
        });
      }
      button.addEventListener("click", () => {
        if (performance.now() - key < ONCE_MS) return; // it was a pointer or a key
        this.press(label); // a program for people who use neither
        this.release(label);
      });
    }

    press(label, key = false) {
      const going = this.recording;
      if (going) {
        if (going.label === label && going.counts && performance.now() - going.pressed > ONCE_MS) this.drop("the button was clicked again");
        return;
      }
      if (!this.ticket || this.seen < 0) {
        this.say("Start the camera first");
        return;
      }
      const begin = this.clock();
      this.recording = { label, key, begin, end: begin + this.maxSeconds, counts: false, pressed: performance.now() };
      this.recording.timer = setInterval(() => this.tick(), 50);
      this.tick();
    }

    release(label) {
      const going = this.recording;
      if (!going || going.label !== label || going.counts) return;
      if (this.clock() - going.begin >= CLICK_SECONDS) {
        this.finish(this.clock());
        return;
      }
      const [wait, length] = ["teach-countdown", "teach-length"].map((name) => Math.max(0, Number(find(name).value) || 0));
      going.counts = true;
      going.begin = this.clock() + wait;
      going.end = going.begin + Math.min(this.maxSeconds, Math.max(0.5, length));
      this.tick();
    }

    tick() {
      const { label, begin, end } = this.recording;
      const now = this.clock();
      if (now >= end) {
        this.finish(end);
        return;
      }
      const row = this.rows.get(label);
      if (!row) {
        this.drop("its label is removed");
        return;
      }
      row.dataset.recording = now < begin ? "soon" : "yes";
      change(row.querySelector(".as-hold"), now < begin ? `in ${Math.ceil(begin - now)}` : `${(now - begin).toFixed(1)} s`);
      this.say(now < begin ? `${label} in ${Math.ceil(begin - now)}` : `Recording ${label}`);
    }

    end() {
      const going = this.recording;
      this.recording = null;
      clearInterval(going.timer);
      const row = this.rows.get(going.label);
      if (row) {
        row.dataset.recording = "";
        change(row.querySelector(".as-hold"), "Record");
      }
      return going;
    }

    /* A recording that is not finished leaves nothing behind. */
    drop(why) {
      if (!this.recording) return;
      const { label } = this.end();
      this.say(`The recording of ${label} was dropped, because ${why}`);
    }

    async finish(end) {
      const { label, begin } = this.end();
      const { ticket, run } = this;
      const late = performance.now() + LATE_MS;
      this.say(`Recorded ${label}`);
      while (run === this.run && this.seen < end && performance.now() < late) await new Promise((done) => setTimeout(done, 30));
      if (run !== this.run) {
        this.say(`The recording of ${label} was dropped, because the camera stopped`);
        return;
      }
      const query = { stream: ticket.token, begin: begin.toFixed(3), end: end.toFixed(3) };
      await this.ask("add", query, label);
    }

    async correct(label) {
      if (!this.ticket) {
        this.say("Start the camera first");
        return;
      }
      const now = performance.now();
      if (now - (this.corrected[label] || -ONCE_MS) < ONCE_MS) return;
      this.corrected[label] = now;
      if (await this.ask("correct", { stream: this.ticket.token }, label)) this.say(`The last seconds are an example of ${label} now`);
    }

    fillRow(row, { name, examples }, number) {
      change(row.querySelector(".as-count"), count(examples.length));
      const was = row.querySelector(".as-was");
      change(was.querySelector("kbd"), number < 10 ? String(number) : "");
      if (number < 10) was.setAttribute("aria-keyshortcuts", String(number));
      const clips = row.querySelector(".as-clips");
      const there = new Map([...clips.children].map((clip) => [Number(clip.dataset.number), clip]));
      for (const example of examples) {
        const clip = there.get(example.number) || clips.appendChild(this.newClip(name, example));
        there.delete(example.number);
        const wrong = example.answer !== null && example.answer !== undefined && example.answer !== name;
        clip.dataset.wrong = wrong ? "yes" : "";
        change(clip.querySelector(".as-looks"), wrong ? `looks like ${example.answer}` : "");
      }
      for (const clip of there.values()) clip.remove();
    }

    newClip(label, { number, name, seconds, pictures }) {
      const clip = make("li", "as-clip");
      clip.dataset.number = number;
      const reel = make("div", "as-reel", "", { tabIndex: 0 });
      reel.setAttribute("role", "img");
      reel.setAttribute("aria-label", `${name} of ${label}, ${seconds} s; plays while the pointer or the focus is on it`);
      const picture = (place) => make("img", "", "", { alt: "", src: `teach/${this.lesson}/picture?example=${number}&place=${place}` });
      if (pictures) reel.append(picture(0));
      else reel.append(make("span", "as-moment", "no picture"));
      let playing = 0;
      const play = () => {
        if (playing || pictures < 2) return;
        while (reel.children.length < pictures) reel.append(picture(reel.children.length));
        let place = 0;
        playing = setInterval(() => {
          place = (place + 1) % pictures;
          [...reel.children].forEach((each, at) => (each.style.visibility = at === place ? "visible" : "hidden"));
        }, PLAY_MS);
      };
      const rest = () => {
        clearInterval(playing);
        playing = 0;
        [...reel.children].forEach((each, at) => (each.style.visibility = at ? "hidden" : "visible"));
      };
      for (const type of ["pointerenter", "focus"]) reel.addEventListener(type, play);
      for (const type of ["pointerleave", "blur"]) reel.addEventListener(type, rest);
      const drop = make("button", "as-delete", "×", { type: "button" });
      drop.setAttribute("aria-label", `Delete ${name} of ${label}`);
      drop.addEventListener("click", () => this.ask("remove", { example: number }, ""));
      clip.append(reel, make("span", "as-moment", `${name}, ${seconds} s`), make("span", "as-looks"), drop);
      return clip;
    }

    fillReport(report) {
      find("teach-report").hidden = !report;
      if (!report) return;
      find("teach-sentences").replaceChildren(...report.sentences.map((sentence) => make("li", "", sentence)));
      const table = find("teach-confusion");
      const head = make("tr", "");
      head.append(make("td", ""), ...report.labels.map((label) => make("th", "", label, { scope: "col" })));
      const rows = report.confusion.map((counts, own) => {
        const row = make("tr", "");
        const all = counts.reduce((sum, each) => sum + each, 0);
        row.append(make("th", "", report.labels[own], { scope: "row" }));
        counts.forEach((each, said) => {
          const cell = make("td", said === own ? "as-right" : "as-wrong", each ? String(each) : "");
          cell.style.setProperty("--as-share", all ? each / all : 0);
          row.append(cell);
        });
        return row;
      });
      table.replaceChildren(make("caption", "", CAPTION), head, ...rows);
    }
  }

  const press = () => document.getElementById("teach-open").click();
  window.actionstream.teach = new Teach();
  whenThere("teach-stage", (stage) => {
    new IntersectionObserver(([entry]) => entry.isIntersecting && press()).observe(stage); // the tab is shown
  });
})();
