// The tab Annotate: segments of a video by keys, pointer or table; a model drafts; each change is saved.
"use strict";
(() => {
  const { find, make, show, stamp, Timeline } = window.actionstream;
  const SAVE_AFTER_MS = 400;
  const AGAIN_AFTER_MS = 3000;
  const LOOK_AGAIN_MS = 400;
  const COLORS = ["#1c7ed6", "#e8590c", "#2b8a3e", "#ae3ec9", "#c92a2a", "#0c8599", "#a07000", "#5f3dc4", "#d6336c", "#607080"];
  const SAME = 0.5; // a proposal that overlaps a segment of its label so much is not shown again

  const part = (name) => find(`annotate-${name}`);
  const say = (text) => show("annotate-message", text);
  const round = (seconds) => Math.round(seconds * 1000) / 1000;
  const overlap = (a, b) => {
    const both = Math.min(a.end, b.end) - Math.max(a.start, b.start);
    return both / (a.end - a.start + b.end - b.start - both);
  };
  /* Seconds of a text such as 63.25, 1:03.25 or 1:00:03; NaN for any other. */
  const parse = (text) => {
    if (!/^\s*(\d+:){0,2}\d+(\.\d*)?\s*$/.test(text)) return NaN;
    return round(text.split(":").reduce((sum, each) => 60 * sum + Number(each), 0));
  };

  class Annotate {
    constructor() {
      Object.assign(this, { token: null, video: null, numbers: 0, rows: new Map(), timer: 0, place: 0 });
      this.forget();
    }

    forget() {
      Object.assign(this, { now: { segments: [], reviewed: false }, past: [], future: [], marks: new Map() });
      Object.assign(this, { selected: null, dirty: false, saving: null, conflict: null, drafting: 0, loaded: false });
    }

    /* Begin with a project of the server. */
    async open(ticket) {
      if (!ticket) return;
      this.token = ticket.token;
      this.listen();
      const state = await this.ask("state");
      if (!state) return;
      find("annotate").hidden = false;
      this.kept = state.file !== null;
      part("download").hidden = this.kept;
      part("train").hidden = !this.kept;
      part("commands").textContent = state.commands;
      part("download").href = `annotate/${this.token}/file`;
      this.fresh = true; // nothing that is not downloaded
      this.take(state);
      const first = state.videos.find(({ reviewed }) => !reviewed) || state.videos[0];
      await this.choose(first.name);
    }

    /* A request; null, and a message, where it fails. */
    async ask(what, { query = {}, body } = {}) {
      try {
        const init = body === undefined ? {} : { method: "POST", body };
        const answer = await fetch(`annotate/${this.token}/${what}?${new URLSearchParams(query)}`, init);
        if (answer.ok) return answer.status === 204 ? {} : await answer.json();
        say(answer.status === 404 ? "The server does not know this page any more; open it again" : await answer.text());
      } catch {
        say("The server does not answer");
      }
      return null;
    }

    /* Labels and videos, as the server has them. */
    take({ labels, videos }) {
      this.labels = labels;
      this.videos = videos;
      this.render();
    }

    async choose(video) {
      if (this.dirty && !(await this.save())) {
        say(`${this.video} is not saved yet, so it stays open`);
        part("video").value = this.video;
        return;
      }
      if (this.marks.size) say(`Dropped, as it had no end: ${[...this.marks.keys()].join(", ")}`);
      else say("");
      await this.stopDraft();
      this.forget();
      this.video = video;
      const player = part("player");
      player.src = `annotate/${this.token}/video?${new URLSearchParams({ video })}`;
      player.playbackRate = player.defaultPlaybackRate = Number(part("speed").value);
      await this.load();
    }

    /* What the server has of the video; what is here and not there is gone. */
    async load() {
      const video = this.video;
      const entry = await this.ask("entry", { query: { video } });
      if (!entry || video !== this.video) return this.render();
      this.forget();
      this.rate = entry.rate;
      this.version = entry.version;
      this.duration = entry.duration || (await this.durationOfPlayer());
      if (!this.duration) return say("Nobody can tell how long this video is; write it anew, with ffmpeg for example");
      this.others = entry.annotations.filter((each) => !this.hasTimes(each));
      const segments = [
        ...entry.annotations.filter((each) => this.hasTimes(each)).map((raw) => this.segment(raw, false)),
        ...entry.proposals.filter((each) => this.hasTimes(each)).map((raw) => this.segment(raw, true)),
      ];
      this.now = { segments, reviewed: entry.reviewed };
      this.loaded = true;
      if (this.others.length) say(`${this.others.length} annotations without times are kept as they are`);
      this.timeline.open(this.duration);
      this.render();
      this.moved();
    }

    durationOfPlayer() {
      const player = part("player");
      const known = () => (Number.isFinite(player.duration) ? player.duration : 0);
      if (player.readyState || player.error) return known();
      return new Promise((done) => {
        for (const name of ["loadedmetadata", "error"]) player.addEventListener(name, () => done(known()), { once: true });
      });
    }

    hasTimes({ label, segment }) {
      return typeof label === "string" && Array.isArray(segment) && segment.length === 2 && segment.every((each) => Number.isFinite(Number(each)));
    }

    /* `raw` is the object in the file, with keys that only others know. */
    segment(raw, proposal) {
      const [start, end] = raw.segment.map(Number);
      return { id: String(++this.numbers), raw, label: raw.label, start, end, proposal };
    }

    raw({ raw, label, start, end }) {
      const [begin, stop] = (raw.segment || []).map(Number);
      return raw.label === label && begin === start && stop === end ? raw : { ...raw, label, segment: [start, end] };
    }

    /* All that is labelled: the project's labels, then what a model proposes besides. */
    shown() {
      const names = new Set(this.labels.map(({ name }) => name));
      const more = [...new Set([...this.now.segments.map(({ label }) => label), ...this.marks.keys()])].filter((name) => !names.has(name));
      return [...this.labels, ...more.map((name) => ({ name }))].map(({ name, color }, place) => ({
        name,
        color: color || COLORS[place % COLORS.length],
      }));
    }

    /* A change that can be undone. */
    change(segments, more = {}) {
      if (!this.loaded) return;
      this.past.push(this.now);
      this.future = [];
      this.put({ ...this.now, segments, ...more });
    }

    undo(from = this.past, to = this.future) {
      if (!from.length) return;
      to.push(this.now);
      this.put(from.pop());
    }

    put(next) {
      this.now = next;
      this.dirty = true;
      this.fresh = false;
      this.render();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
    }

    update(id, more) {
      this.change(this.now.segments.map((each) => (each.id === id ? { ...each, ...more } : each)));
    }

    body() {
      const raws = (proposal) => this.now.segments.filter((each) => each.proposal === proposal).map((each) => this.raw(each));
      return JSON.stringify({
        video: this.video,
        version: this.version,
        duration: this.duration,
        annotations: [...raws(false), ...this.others],
        proposals: raws(true),
        reviewed: this.now.reviewed,
      });
    }

    /* Save until nothing is left to save; returns whether that is so. */
    async save() {
      clearTimeout(this.timer);
      this.saving = this.saving || this.send().finally(() => (this.saving = null));
      await this.saving;
      return !this.dirty;
    }

    async send() {
      while (this.dirty && !this.conflict) {
        this.dirty = false;
        show("annotate-saved", "Saving");
        let why = "the server does not answer";
        try {
          const answer = await fetch(`annotate/${this.token}/save`, { method: "POST", body: this.body() });
          const { version, changed } = answer.ok ? await answer.json() : {};
          if (version) {
            this.version = version;
            continue;
          }
          this.conflict = changed || null;
          why = changed ? "changed elsewhere" : await answer.text();
        } catch {
          this.timer = setTimeout(() => this.save(), AGAIN_AFTER_MS);
        }
        this.dirty = true;
        show("annotate-saved", `Not saved: ${why}`);
        part("conflict").hidden = !this.conflict;
        return;
      }
      show("annotate-saved", this.kept ? "Saved" : "");
      const known = this.videos.find(({ name }) => name === this.video);
      known.segments = this.now.segments.filter(({ proposal }) => !proposal).length + this.others.length;
      known.reviewed = this.now.reviewed;
      this.renderVideos();
    }

    async keepMine() {
      this.version = this.conflict.version;
      this.conflict = null;
      part("conflict").hidden = true;
      await this.save();
    }

    async keepTheirs() {
      part("conflict").hidden = true;
      this.take((await this.ask("state")) || this);
      await this.load();
      show("annotate-saved", "");
    }

    /* Ask for another set of labels: {was, name, color}. */
    async changeLabel(change) {
      if (this.dirty && !(await this.save())) return false;
      const state = await this.ask("label", { body: JSON.stringify({ was: null, color: null, ...change }) });
      if (!state) return false;
      say("");
      this.take(state);
      if (change.was && change.name !== change.was) await this.load(); // segments have another label now
      return true;
    }

    time() {
      const player = part("player");
      return round(Math.min(this.duration || 0, player.error ? this.place : player.currentTime));
    }

    seek(time) {
      const player = part("player");
      this.place = Math.min(this.duration || 0, Math.max(0, time));
      player.currentTime = this.place;
      this.moved(this.place);
    }

    step(frames) {
      part("player").pause();
      this.seek((Math.round(this.time() * this.rate) + frames) / this.rate + 0.001); // just after the frame begins
    }

    moved(time = this.time()) {
      show("annotate-time", stamp(time));
      this.timeline.moved(time, !part("player").paused);
    }

    play() {
      const player = part("player");
      if (player.paused) player.play().catch(() => {});
      else player.pause();
    }

    /* Start a segment of a label now, or end it. */
    mark(label) {
      if (!this.loaded) return;
      const now = this.time();
      if (!this.marks.has(label)) {
        this.marks.set(label, now);
        say(`${label} starts at ${stamp(now)}`);
        return this.render();
      }
      const begin = this.marks.get(label);
      const [start, end] = [Math.min(begin, now), Math.max(begin, now)];
      if (start === end) return say(`${label} ends where it starts; go on, or press Escape`);
      this.marks.delete(label);
      say(`${label} from ${stamp(start)} to ${stamp(end)}`);
      const made = { id: String(++this.numbers), raw: {}, label, start, end, proposal: false };
      this.selected = made.id;
      this.change([...this.now.segments, made]);
    }

    escape() {
      const last = [...this.marks.keys()].pop();
      if (last !== undefined) {
        this.marks.delete(last);
        say(`${last} is dropped`);
      } else this.selected = null;
      this.render();
    }

    select(id, seek = false) {
      this.selected = id;
      const found = this.now.segments.find((each) => each.id === id);
      if (seek && found) {
        this.seek(found.start);
        this.timeline.reveal(found.start);
      }
      this.render();
    }

    chosen() {
      return this.now.segments.find((each) => each.id === this.selected);
    }

    /* New times of a segment; returns whether they make sense. */
    move(id, start, end) {
      [start, end] = [round(Math.max(0, start)), round(Math.min(this.duration, end))];
      if (!(start < end)) {
        say(`a segment starts before it ends, and both are times from 0:00 to ${stamp(this.duration)}, such as 1:03.25`);
        this.render();
        return false;
      }
      this.selected = id;
      this.update(id, { start, end });
      return true;
    }

    border(name) {
      const each = this.chosen();
      if (each) this.move(each.id, name === "start" ? this.time() : each.start, name === "end" ? this.time() : each.end);
    }

    remove(id = this.selected) {
      if (this.now.segments.some((each) => each.id === id)) this.change(this.now.segments.filter((each) => each.id !== id));
    }

    accept(id = this.selected) {
      const each = this.now.segments.find((other) => other.id === id);
      if (each && each.proposal) this.change(this.now.segments.map((other) => (other === each ? this.accepted(other) : other)));
    }

    acceptAll() {
      this.change(this.now.segments.map((each) => (each.proposal ? this.accepted(each) : each)));
    }

    accepted(each) {
      const { score, ...raw } = each.raw; // an annotation has none
      return { ...each, raw, proposal: false };
    }

    async draft() {
      if (this.drafting) {
        say("");
        return this.stopDraft();
      }
      const query = { video: this.video };
      const mine = (this.drafting = performance.now());
      this.render();
      let found = await this.ask("begin-draft", { query, body: "" });
      while (found && !found.proposals && mine === this.drafting) {
        say(`The model looks at ${this.video}: ${Math.round(100 * (found.done || 0))} %`);
        await new Promise((done) => setTimeout(done, LOOK_AGAIN_MS));
        if (mine === this.drafting) found = await this.ask("draft", { query });
      }
      if (mine !== this.drafting) return;
      this.drafting = 0;
      if (!found) return this.render();
      const own = this.now.segments.filter(({ proposal }) => !proposal);
      const isNew = (each) => own.every((other) => other.label !== each.label || overlap(other, each) <= SAME);
      const proposals = found.proposals.map((raw) => this.segment(raw, true)).filter(isNew).sort((a, b) => a.start - b.start);
      say(proposals.length ? `The model proposes ${proposals.length} segments` : "The model proposes nothing new");
      this.change([...own, ...proposals]);
    }

    async stopDraft() {
      if (!this.drafting) return;
      this.drafting = 0;
      this.render();
      await this.ask("stop-draft", { body: "" });
    }

    listen() {
      if (this.timeline) return;
      const parts = Object.fromEntries(["scroll", "inner", "ruler", "lanes", "now"].map((name) => [name, part(name)]));
      this.timeline = new Timeline(parts, {
        seek: (time) => this.seek(time),
        peek: (time) => this.seek(time),
        select: (id) => this.select(id),
        move: (id, start, end) => this.move(id, start, end),
      });
      const clicks = {
        play: () => this.play(),
        back: () => this.step(-1),
        forward: () => this.step(1),
        undo: () => this.undo(),
        redo: () => this.undo(this.future, this.past),
        delete: () => this.remove(),
        draft: () => this.draft(),
        accept: () => this.acceptAll(),
        reject: () => this.change(this.now.segments.filter(({ proposal }) => !proposal)),
        in: () => this.timeline.scale(1.6),
        out: () => this.timeline.scale(1 / 1.6),
        fit: () => this.timeline.fit(),
        theirs: () => this.keepTheirs(),
        mine: () => this.keepMine(),
        next: () => this.next(),
        add: () => this.addLabel(),
        download: () => (this.fresh = true),
      };
      for (const [name, does] of Object.entries(clicks)) part(name).addEventListener("click", does);
      part("name").addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && this.addLabel());
      part("video").addEventListener("change", (event) => this.choose(event.target.value));
      part("reviewed").addEventListener("change", (event) => this.change(this.now.segments, { reviewed: event.target.checked }));
      const player = part("player");
      part("speed").addEventListener("change", (event) => (player.playbackRate = player.defaultPlaybackRate = Number(event.target.value)));
      for (const name of ["timeupdate", "seeked"]) player.addEventListener(name, () => this.moved());
      for (const name of ["play", "pause"]) player.addEventListener(name, () => show("annotate-play", player.paused ? "Play" : "Pause"));
      const follow = () => {
        if (player.paused) return;
        this.moved();
        requestAnimationFrame(follow);
      };
      player.addEventListener("play", follow);
      player.addEventListener("error", () => say("This browser cannot play the video; write it anew as H.264 in MP4, with ffmpeg for example"));
      document.addEventListener("keydown", (event) => this.key(event));
      document.addEventListener("visibilitychange", () => document.hidden && this.dirty && this.save());
      addEventListener("pagehide", () => {
        if ((this.dirty || this.saving) && !this.conflict) navigator.sendBeacon(`annotate/${this.token}/save`, this.body());
      });
      addEventListener("beforeunload", (event) => {
        if (this.dirty || this.saving || (!this.kept && !this.fresh)) event.preventDefault(); // the browser asks the person
      });
    }

    key(event) {
      if (!this.loaded || !find("annotate").offsetParent) return; // another tab is shown
      if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], [role=tab]")) return;
      const key = event.key;
      if (event.ctrlKey || event.metaKey) {
        const does = { z: () => (event.shiftKey ? this.undo(this.future, this.past) : this.undo()), y: () => this.undo(this.future, this.past) }[key.toLowerCase()];
        if (does && !event.altKey) {
          event.preventDefault();
          does();
        }
        return;
      }
      if (event.altKey) return;
      const isButton = event.target.closest("button, summary, a, video, input");
      const second = event.shiftKey ? 10 : 1;
      const does = {
        Escape: () => this.escape(),
        ArrowLeft: () => this.seek(this.time() - second),
        ArrowRight: () => this.seek(this.time() + second),
        Home: () => this.seek(0),
        End: () => this.seek(this.duration),
        ",": () => this.step(-1),
        ".": () => this.step(1),
        "[": () => this.border("start"),
        "]": () => this.border("end"),
        a: () => this.accept(),
        Delete: () => this.remove(),
        Backspace: () => this.remove(),
        "+": () => this.timeline.scale(1.6),
        "=": () => this.timeline.scale(1.6),
        "-": () => this.timeline.scale(1 / 1.6),
        ...(isButton ? {} : { " ": () => this.play() }),
      }[key];
      const label = /^[1-9]$/.test(key) && this.shown()[Number(key) - 1];
      if (!does && !label) return;
      event.preventDefault();
      if (label) {
        if (!event.repeat) this.mark(label.name);
      } else does();
    }

    next() {
      const at = this.videos.findIndex(({ name }) => name === this.video);
      const order = [...this.videos.slice(at + 1), ...this.videos.slice(0, at)];
      const found = order.find(({ reviewed }) => !reviewed);
      if (found) this.choose(found.name);
      else say("No other video waits for a review");
    }

    async addLabel() {
      const field = part("name");
      const name = field.value.trim();
      if (name && (await this.changeLabel({ name, color: COLORS[this.labels.length % COLORS.length] }))) field.value = "";
    }

    render() {
      const { segments, reviewed } = this.now;
      const labels = this.shown();
      const proposals = segments.filter(({ proposal }) => proposal).length;
      part("reviewed").checked = reviewed;
      for (const name of ["accept", "reject"]) part(name).hidden = !proposals;
      part("undo").disabled = !this.past.length;
      part("redo").disabled = !this.future.length;
      part("delete").disabled = !this.chosen();
      part("conflict").hidden = !this.conflict;
      show("annotate-draft", this.drafting ? "Stop the draft" : "Draft");
      this.renderHeads(labels);
      this.renderLabels(labels);
      this.timeline.show({ labels, segments, selected: this.selected, marks: this.marks });
      this.renderTable(labels);
      this.renderVideos();
    }

    renderVideos() {
      const select = part("video");
      const texts = this.videos.map(({ name, segments, reviewed }) => `${reviewed ? "✓ " : ""}${name} (${segments})`);
      if (select.options.length !== texts.length) select.replaceChildren(...this.videos.map(({ name }) => make("option", "", "", { value: name })));
      texts.forEach((text, place) => {
        if (select.options[place].textContent !== text) select.options[place].textContent = text;
      });
      if (this.video !== null) select.value = this.video;
      const done = this.videos.filter(({ reviewed }) => reviewed).length;
      show("annotate-count", `${done} of ${this.videos.length} reviewed`);
    }

    renderHeads(labels) {
      const list = part("heads");
      const text = labels.map(({ name }) => name).join("\n");
      if (list.dataset.names !== text) {
        list.dataset.names = text;
        list.replaceChildren(
          make("div", "as-ruler-head"),
          ...labels.map(({ name }, place) => {
            const head = make("button", "as-lane-head", "", { type: "button", title: name });
            head.append(make("span", "as-swatch"), make("kbd", "", place < 9 ? String(place + 1) : ""), make("span", "as-name", name));
            if (place < 9) head.setAttribute("aria-keyshortcuts", String(place + 1));
            head.addEventListener("click", () => this.mark(name));
            return head;
          }),
        );
      }
      labels.forEach(({ name, color }, place) => {
        const head = list.children[place + 1];
        head.style.setProperty("--as-color", color);
        head.setAttribute("aria-pressed", String(this.marks.has(name)));
        head.setAttribute("aria-label", `${this.marks.has(name) ? "End" : "Start"} a segment of ${name}`);
      });
    }

    renderLabels(labels) {
      const list = part("labels");
      const text = JSON.stringify(labels);
      if (list.dataset.names === text) return;
      list.dataset.names = text;
      list.replaceChildren(
        ...labels.map(({ name, color }) => {
          const row = make("li", "as-new");
          const pick = make("input", "", "", { type: "color", value: color });
          pick.setAttribute("aria-label", `Color of ${name}`);
          pick.addEventListener("change", () => this.changeLabel({ was: this.known(name), name, color: pick.value }));
          const field = make("input", "", "", { type: "text", value: name, maxLength: 200 });
          field.setAttribute("aria-label", `Name of ${name}`);
          field.addEventListener("change", async () => {
            if (!field.value.trim() || !(await this.changeLabel({ was: name, name: field.value.trim() }))) field.value = name;
          });
          const drop = make("button", "", "Remove", { type: "button" });
          drop.setAttribute("aria-label", `Remove the label ${name}`);
          drop.addEventListener("click", () => this.changeLabel({ was: name, name: null }));
          row.append(pick, field, drop);
          return row;
        }),
      );
    }

    /* The name if the project has it: a label that a model proposes is new when it gets a color. */
    known(name) {
      return this.labels.some((each) => each.name === name) ? name : null;
    }

    renderTable(labels) {
      const body = part("rows");
      const there = new Set(this.now.segments.map(({ id }) => id));
      for (const [id, row] of this.rows) {
        if (there.has(id)) continue;
        row.remove();
        this.rows.delete(id);
      }
      const names = labels.map(({ name }) => name);
      const sorted = [...this.now.segments].sort((a, b) => a.start - b.start || a.end - b.end);
      sorted.forEach((each, place) => {
        if (!this.rows.has(each.id)) this.rows.set(each.id, this.newRow(each.id));
        const row = this.rows.get(each.id);
        if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null);
        this.fillRow(row, each, names, labels);
      });
      show("annotate-empty", sorted.length ? "" : "No segment yet: a number key starts one, and ends it; Draft asks the model");
    }

    newRow(id) {
      const row = make("tr", "");
      const label = make("select", "");
      label.addEventListener("change", () => this.update(id, { label: label.value }));
      const times = ["start", "end"].map((name) => {
        const field = make("input", "as-stamp", "", { type: "text", autocomplete: "off", name });
        field.addEventListener("change", () => {
          const each = this.now.segments.find((other) => other.id === id);
          const [start, end] = times.map((other) => (other === field ? parse(other.value) : each[other.name]));
          if (end > this.duration || !this.move(id, start, end)) {
            field.value = stamp(each[name]);
            if (end > this.duration) say(`the video ends at ${stamp(this.duration)}`);
          }
        });
        field.addEventListener("keydown", (event) => event.key === "Enter" && field.blur()); // keys are for segments again
        return field;
      });
      const button = (text, does) => {
        const made = make("button", "", text, { type: "button" });
        made.addEventListener("click", (event) => {
          event.stopPropagation();
          does();
        });
        return made;
      };
      const actions = [button("✓", () => this.accept(id)), button("×", () => this.remove(id))];
      for (const [place, elements] of [[label], [times[0]], [times[1]], actions].entries()) row.insertCell(place).append(...elements);
      row.addEventListener("click", (event) => this.select(id, !event.target.closest("input, select")));
      row.addEventListener("focusin", () => this.selected !== id && this.select(id));
      return row;
    }

    fillRow(row, each, names, labels) {
      const [label, start, end] = row.querySelectorAll("select, input");
      const [accept, drop] = row.querySelectorAll("button");
      if (label.dataset.names !== names.join("\n")) {
        label.dataset.names = names.join("\n");
        label.replaceChildren(...names.map((name) => make("option", "", name, { value: name })));
      }
      label.value = each.label;
      const what = `${each.label} at ${stamp(each.start)}`;
      label.setAttribute("aria-label", `Label of ${what}`);
      for (const field of [start, end]) {
        const text = stamp(each[field.name]);
        if (field.dataset.text !== text) field.value = text;
        field.dataset.text = text;
        field.setAttribute("aria-label", `${field.name === "start" ? "Start" : "End"} of ${what}`);
      }
      accept.hidden = !each.proposal;
      accept.setAttribute("aria-label", `Accept ${what}`);
      drop.setAttribute("aria-label", `${each.proposal ? "Reject" : "Delete"} ${what}`);
      row.dataset.proposal = each.proposal ? "yes" : "";
      row.dataset.selected = each.id === this.selected ? "yes" : "";
      row.style.setProperty("--as-color", labels[names.indexOf(each.label)].color);
      row.title = each.proposal && each.raw.score !== undefined ? `score ${each.raw.score}` : "";
    }
  }

  const annotate = (window.actionstream.annotate = new Annotate());

  /* `actionstream annotate` prints an address with the token of its project, which browsers send to nobody. */
  const token = location.hash.slice(1);
  const begin = () => {
    if (!find("annotate-address")) return;
    clearInterval(waiting);
    find("annotate-address").hidden = true;
    annotate.open({ token });
  };
  const waiting = token ? setInterval(begin, 50) : 0;
})();
