// The sample: it plays until the visitor starts the camera, with what the server's model has said of each moment.
// The scores are fetched once, so that a visitor who only looks costs the engine nothing.
"use strict";
(() => {
  const { find, live, whenThere } = window.actionstream;
  const ASK_AGAIN_MS = 300; // while the first visitor's scores are computed
  const HINT = "This is a sample. Start the camera, and your own movements get the labels.";
  const SHOWN_SECONDS = 3; // the moment of a sample that does not play by itself

  class Sample {
    constructor() {
      Object.assign(this, { rows: [], about: null, inSight: false, loop: 0 });
      this.paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
    }

    listen(stage) {
      this.stage = stage;
      this.video = find("live-sample");
      this.button = find("live-pause");
      this.button.addEventListener("click", () => {
        this.paused = !this.paused;
        this.turn();
      });
      this.video.addEventListener("error", () => (stage.dataset.on = live.busy ? stage.dataset.on : "none"));
      if (this.paused) this.video.currentTime = SHOWN_SECONDS;
      live.rest = () => this.rest();
      new IntersectionObserver(([entry]) => {
        this.inSight = entry.isIntersecting;
        this.turn();
      }).observe(stage);
      this.rest();
    }

    /* The camera does not run: show the sample again. */
    rest() {
      this.stage.dataset.on = this.video.error ? "none" : "sample";
      if (this.about) this.fill();
      if (!find("live-message").textContent) live.say(HINT);
      this.turn();
    }

    /* Play or pause. */
    turn() {
      this.button.textContent = this.paused ? "Play" : "Pause";
      const plays = this.inSight && !live.busy && !this.video.error;
      if (plays && !this.about) this.fetch();
      if (plays && !this.paused) this.video.play().catch(() => {});
      else this.video.pause();
      const loop = ++this.loop;
      const follow = () => {
        if (loop !== this.loop || live.busy || !this.inSight) return;
        requestAnimationFrame(follow);
        this.look();
      };
      follow();
    }

    async fetch() {
      if (this.asking) return;
      this.asking = true;
      try {
        for (let done = false; !done; ) {
          const answer = await fetch(`sample/scores?first=${this.rows.length}`);
          if (!answer.ok) return;
          const { rows, about, done: isDone } = await answer.json();
          this.rows.push(...rows);
          if (!this.about) {
            this.about = about;
            if (!live.busy) this.fill();
          } else if (!live.busy) for (const row of rows) live.mark(row);
          done = isDone;
          if (!done) await new Promise((again) => setTimeout(again, ASK_AGAIN_MS));
        }
      } catch {
        // without the server there is no label either; the video plays on
      } finally {
        this.asking = false;
      }
    }

    /* All that is known of the sample, on an empty strip. */
    fill() {
      live.prepare(this.about);
      live.part("label").setAttribute("aria-live", "off"); // a screen reader need not read a sample aloud
      for (const row of this.rows) live.mark(row);
      this.shown = null;
    }

    /* Show what was said at this moment. */
    look() {
      if (!this.about || !live.strip) return;
      const time = this.video.currentTime;
      live.strip.cursor = time;
      live.strip.later();
      const row = this.rows.findLast((each) => each.time <= time);
      if (!row || row === this.shown) return;
      this.shown = row;
      live.tell(row.scores);
    }
  }

  const sample = (window.actionstream.sample = new Sample());
  whenThere("live-stage", (stage) => sample.listen(stage));
})();
