// What all tabs share: elements by name, times as text, arrow keys on the tabs, and the search of the tab Models.
// There is no build step. All requests go to the server that sent this file.
"use strict";
(() => {
  const find = (name) => document.querySelector(`[data-part="${name}"]`);
  const show = (name, text) => {
    const element = find(name);
    if (element && element.textContent !== text) element.textContent = text;
  };
  const clock = (seconds, digits = 0) => {
    const whole = Math.floor(seconds * 10 ** digits) / 10 ** digits;
    return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0")}`;
  };

  /* Call `begin` once an element is there: gradio makes what is in a tab when the tab is first shown. */
  const whenThere = (name, begin) => {
    const element = find(name);
    if (element) begin(element);
    else setTimeout(() => whenThere(name, begin), 50);
  };

  /* An error where one looks; "" hides it. */
  const fail = (name, text) => {
    const element = find(name);
    if (!element) return;
    show(name, text);
    element.hidden = !text;
  };

  /* Show the networks whose row has all the words; say so where there is none. */
  const search = (text) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...find("models-rows").rows];
    for (const row of rows) {
      const whole = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => whole.includes(word));
    }
    const found = rows.filter((row) => !row.hidden).length;
    find("models-table").hidden = !found;
    const none = `No network fits “${text.trim()}”. Try a part of a name, such as tsm, mobilenet or resnet50.`;
    show("models-found", !found ? none : found === rows.length ? `${found} networks` : `${found} of ${rows.length} networks`);
  };

  /* Arrow keys go from tab to tab, as they do in other programs; gradio's tabs take Tab and Enter alone. */
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest?.('[role="tab"]');
    if (!tab || event.ctrlKey || event.altKey || event.metaKey) return;
    const tabs = [...tab.closest('[role="tablist"]').querySelectorAll('[role="tab"]')].filter((each) => each.offsetParent);
    const to = { ArrowLeft: tabs.indexOf(tab) - 1, ArrowRight: tabs.indexOf(tab) + 1, Home: 0, End: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs.at(to % tabs.length);
    next.focus();
    next.click();
  });

  window.actionstream = { find, show, clock, whenThere, fail, search };
})();
