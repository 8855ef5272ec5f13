// JupyterLab's side of the line to the trainer: a button that asks for help, and the trainer's notes.
//
// Written as JupyterLab loads it: a module federation container in window._JUPYTERLAB, without a build step. What the
// trainer writes is put into the page as text, never as HTML.
"use strict";
(() => {
  const READ = "azureml-workshop:read"; // in the browser's storage: the id of the last note that was read
  const NEWS = "azureml-workshop:news"; // what was read of the notebooks' news
  const SHOW_FOR_MINUTES = 30; // who comes later finds a note under the button
  const RETRY_MS = 5000;
  const STYLE = `
    .wk-ask { display: flex; align-items: center; padding-right: 8px; }
    .wk-ask button, .wk-note button, .wk-dialog button { font: inherit; font-size: var(--jp-ui-font-size1); cursor: pointer;
      border: 1px solid var(--jp-border-color1); border-radius: 4px; padding: 2px 10px; min-height: 24px;
      background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); }
    .wk-ask button.waiting { background: #b34a00; border-color: #b34a00; color: #fff; font-weight: 600; }
    .wk-ask button:focus-visible, .wk-note button:focus-visible, .wk-dialog button:focus-visible {
      outline: 2px solid var(--jp-brand-color1); outline-offset: 1px; }
    .wk-notes { position: fixed; right: 16px; top: 40px; z-index: 9000; display: flex; flex-direction: column; gap: 8px;
      width: min(26rem, calc(100vw - 32px)); max-height: 60vh; overflow-y: auto; }
    .wk-note { background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); border: 1px solid var(--jp-border-color1);
      border-left: 6px solid #0072b2; border-radius: 6px; box-shadow: 0 2px 12px rgb(0 0 0 / 35%); padding: 10px 14px;
      font-size: var(--jp-ui-font-size2); line-height: 1.4; }
    .wk-note p, .wk-dialog li p { margin: 4px 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
    .wk-dialog { background: var(--jp-layout-color1); color: var(--jp-ui-font-color1); border: 1px solid var(--jp-border-color1);
      border-radius: 8px; width: min(32rem, 92vw); padding: 16px 20px; font-size: var(--jp-ui-font-size2); }
    .wk-dialog::backdrop { background: rgb(0 0 0 / 40%); }
    .wk-dialog h2 { margin: 0 0 8px; font-size: 1.2em; }
    .wk-dialog h3 { margin: 16px 0 4px; font-size: 1em; }
    .wk-dialog textarea { width: 100%; box-sizing: border-box; font: inherit; color: inherit; padding: 6px;
      background: var(--jp-input-background); border: 1px solid var(--jp-border-color1); border-radius: 4px; }
    .wk-dialog label { display: block; margin: 8px 0 4px; }
    .wk-dialog .row { display: flex; gap: 8px; margin-top: 12px; }
    .wk-dialog button.main { background: #005f96; border-color: #005f96; color: #fff; font-weight: 600; }
    .wk-dialog ul { list-style: none; margin: 0; padding: 0; max-height: 30vh; overflow-y: auto; }
    .wk-dialog time { color: var(--jp-ui-font-color2); }
    .wk-failed { color: var(--jp-error-color1); }`;

  let shared = null;

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const xsrf = () => document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? "";

  async function widgetClass() {
    const versions = Object.values(shared["@lumino/widgets"]);
    return (await versions[0].get())().Widget;
  }

  // The trainer's notes that are new, each until it is read.
  class Notes {
    constructor() {
      this.place = make("div", { class: "wk-notes", role: "log", "aria-label": "Notes from the trainer" });
      document.body.append(this.place);
      this.shown = new Set();
    }

    show(notes) {
      const read = Number(localStorage.getItem(READ) ?? 0);
      for (const note of notes) {
        const fresh = Date.now() - Date.parse(note.at) < SHOW_FOR_MINUTES * 60000;
        if (note.id > read && fresh && !this.shown.has(note.id)) this.add(note);
      }
    }

    add(note) {
      this.shown.add(note.id);
      const title = `Trainer, ${clock(note.at)}${note.to_all ? "" : ", to you"}`;
      this.card(title, note.text, () => {
        localStorage.setItem(READ, String(Math.max(note.id, Number(localStorage.getItem(READ) ?? 0))));
      });
    }

    // What has changed in the notebooks since the server was started; until it is read in this window.
    showNews(news) {
      const text = news.join("\n");
      if (!text || this.shown.has(text) || sessionStorage.getItem(NEWS) === text) return;
      this.shown.add(text);
      this.card("Your notebooks", text, () => sessionStorage.setItem(NEWS, text));
    }

    card(title, text, onRead, action = "Got it") {
      const button = make("button", { type: "button" }, action);
      const card = make("div", { class: "wk-note" }, make("strong", {}, title), make("p", {}, text), button);
      button.addEventListener("click", () => {
        onRead();
        card.remove();
      });
      this.place.append(card);
    }
  }

  // The dialog behind the button.
  class Dialog {
    constructor(send) {
      this.send = send;
      this.text = make("textarea", { rows: 3, maxlength: 300, id: "wk-text" });
      this.open = make("input", { type: "checkbox", checked: true });
      this.state = make("p", { role: "status" });
      this.failed = make("p", { class: "wk-failed", role: "alert" });
      this.notes = make("ul");
      this.noteTitle = make("h3", {}, "Notes from the trainer");
      this.ask = make("button", { type: "button", class: "main" }, "Ask");
      this.end = make("button", { type: "button" }, "No longer needed");
      const close = make("button", { type: "button" }, "Close");
      this.form = make("div", {}, make("label", { for: "wk-text" }, "What is it about? (You may leave this empty.)"), this.text,
        make("label", {}, this.open, " The trainer may open my JupyterLab until this is answered"));
      this.element = make("dialog", { class: "wk-dialog", "aria-labelledby": "wk-title" },
        make("h2", { id: "wk-title" }, "Ask the trainer"), this.state, this.form, this.failed,
        make("div", { class: "row" }, this.ask, this.end, close), this.noteTitle, this.notes);
      document.body.append(this.element);
      this.ask.addEventListener("click", () => this.try("POST", { text: this.text.value, may_open: this.open.checked }));
      this.end.addEventListener("click", () => this.try("DELETE"));
      close.addEventListener("click", () => this.element.close());
    }

    async try(method, document) {
      this.failed.textContent = "";
      const failure = await this.send(method, document);
      if (failure) this.failed.textContent = failure;
      else this.element.close();
    }

    show({ notes, asked }) {
      this.form.hidden = this.ask.hidden = asked.asked;
      this.end.hidden = !asked.asked;
      const coming = asked.coming ? "The trainer is coming." : "The trainer sees that you asked.";
      this.state.textContent = asked.asked ? `You asked at ${clock(asked.since)}. ${coming}` : "";
      this.noteTitle.hidden = notes.length === 0;
      this.notes.replaceChildren(...notes.toReversed().map((note) =>
        make("li", {}, make("time", { datetime: note.at }, clock(note.at)), make("p", {}, note.text))));
    }
  }

  async function activate(app) {
    const { baseUrl } = app.serviceManager.serverSettings;
    const Widget = await widgetClass();
    document.head.append(make("style", {}, STYLE));
    const notes = new Notes();
    const button = make("button", { type: "button", "aria-haspopup": "dialog" }, "Ask the trainer");

    async function send(method, document) {
      const body = document && JSON.stringify(document);
      const headers = { "X-XSRFToken": xsrf(), "Content-Type": "application/json" };
      try {
        const answer = await fetch(`${baseUrl}workshop/asked`, { method, body, headers });
        if (answer.ok) return "";
        return (await answer.json()).message;
      } catch {
        return "Your JupyterLab does not answer just now. Raise your hand, or try again.";
      }
    }

    const dialog = new Dialog(send);
    button.addEventListener("click", () => {
      dialog.failed.textContent = "";
      dialog.element.showModal();
    });
    const widget = new Widget({ node: make("div", { class: "wk-ask" }, button) });
    widget.id = "azureml-workshop-ask";
    app.shell.add(widget, "top", { rank: 1000 });
    app.commands.addCommand("azureml-workshop:ask", { label: "Ask the trainer", execute: () => button.click() });

    function show(news) {
      notes.show(news.notes);
      notes.showNews(news.news);
      dialog.show(news);
      const text = news.asked.coming ? "The trainer is coming" : "Waiting for the trainer";
      button.textContent = news.asked.asked ? text : "Ask the trainer";
      button.classList.toggle("waiting", news.asked.asked);
    }

    // A server that was started again, after a reset say, no longer knows this page: it has to be loaded anew.
    async function isForgotten(address) {
      const answer = await fetch(address, { redirect: "manual", headers: { Accept: "text/event-stream" } }).catch(() => null);
      answer?.body?.cancel();
      return answer?.type === "opaqueredirect" || answer?.status === 403;
    }

    function listen() {
      const address = `${baseUrl}workshop/events?_xsrf=${encodeURIComponent(xsrf())}`;
      const events = new EventSource(address);
      events.addEventListener("trainer", (event) => show(JSON.parse(event.data)));
      events.onerror = async () => {
        if (events.readyState !== EventSource.CLOSED) return;
        if (await isForgotten(address)) {
          const text = "Your JupyterLab was started again. Load this page anew to go on.";
          notes.card("Workshop", text, () => location.reload(), "Load anew");
        } else setTimeout(listen, RETRY_MS);
      };
    }

    listen();
  }

  const plugin = { id: "azureml-workshop:trainer", description: "A line to the trainer.", autoStart: true, activate };
  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["azureml-workshop"] = {
    init: (scope) => { shared = scope; },
    get: async () => () => ({ __esModule: true, default: plugin }),
  };
})();
