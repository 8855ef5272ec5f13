// The trainer's board. All that comes from a learner is put into the page as text, never as HTML.
"use strict";

const { base, xsrf } = document.body.dataset;
const byId = (id) => document.getElementById(id);
const STATES = {
  asked: "Asked for you", stuck: "Stuck", working: "Working", quiet: "Quiet", finished: "Lesson done",
  stopped: "Not running", silent: "No news", starting: "Starting", doing: "Busy",
};
const ICONS = { starting: "doing" };
const QUIET_MINUTES = 10;
const FEW = 8; // seats, up to which they are shown large
const MANY = 20; // from which on they are shown small, so that all are seen at once
const HIGH = 90; // per cent
const RETRY_MS = 3000;
const RESETS = [["notebooks", "all notebooks"], ["service", "the local service"], ["everything", "everything"]];
const RESET_MEANS = {
  notebooks: "All notebooks are brought anew; what was written is moved aside, not deleted.",
  service: "The local service begins anew, without its endpoints, models and jobs; its state is moved aside.",
  everything: "Notebooks, local service and progress begin anew; what was there is moved aside, not deleted.",
};

let room = null; // what the board last said
let shown = null; // the user whose dialog is open
let known = null; // who needed the trainer at the last look

// Returns an element with attributes and children; text stays text.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${ICONS[name] ?? name}`);
  svg.append(use);
  return svg;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const minutesSince = (time) => Math.max(0, Math.floor((Date.parse(room.at) - Date.parse(time)) / 60000));
const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function ago(time) {
  const minutes = minutesSince(time);
  if (minutes < 1) return "just now";
  return minutes < 60 ? `${minutes} min ago` : `at ${clock(time)}`;
}

function bytes(number) {
  return number < 2 ** 30 ? `${Math.round(number / 2 ** 20)} MB` : `${(number / 2 ** 30).toFixed(1)} GB`;
}

function why(reason) {
  if (reason.rule === "refused") return `${reason.text} since ${clock(reason.since)}`;
  return reason.rule === "asked" ? `${reason.text} (${ago(reason.since)})` : reason.text;
}

function stateOf(seat) {
  const still = seat.state === "working" && seat.cell?.state !== "running";
  return still && seat.active && minutesSince(seat.active) >= QUIET_MINUTES ? "quiet" : seat.state;
}

// In two or three words: what it means is said where the trainer looks for who needs help, and in the seat's dialog.
function briefly(reason) {
  if (reason.rule === "refused") return reason.text.replace(/ of .*/, "");
  if (reason.rule === "quiet") return `Failed ${minutesSince(reason.since)} min ago`;
  if (reason.rule === "failed") return "Not done";
  return reason.rule === "long" ? `Cell runs ${minutesSince(reason.since)} min` : reason.text;
}

function stateText(seat) {
  const state = stateOf(seat);
  if (state === "stuck") return briefly(seat.reasons[0]);
  if (state === "asked" && seat.coming) return "You are coming";
  if (state === "doing") return seat.doing;
  if (state === "quiet") return `Quiet for ${minutesSince(seat.active)} min`;
  return STATES[state];
}

const lessonText = (seat) => seat.lesson?.title ?? "No lesson open";
const wayText = (seat) => (seat.lesson?.of ? `${seat.lesson.done} of ${seat.lesson.of}` : "");

// ---- the seats -----------------------------------------------------------------------------------------------------

const cards = new Map();

function newCard(seat) {
  const part = (name) => make("span", { class: name });
  const parts = { number: part("number"), name: part("name"), state: part("state"), lesson: part("lesson"), done: part("done") };
  const progress = make("progress", { max: 1, "aria-hidden": "true" });
  const button = make("button", { type: "button", "aria-haspopup": "dialog" },
    make("span", { class: "top" }, parts.name, parts.number), parts.state, parts.lesson,
    make("span", { class: "way" }, progress, parts.done));
  button.addEventListener("click", () => openSeat(seat.user));
  return { item: make("li", {}, button), button, progress, ...parts, state: parts.state, was: "" };
}

function fillCard(card, seat) {
  const state = stateOf(seat);
  card.item.className = state;
  setText(card.number, String(seat.number));
  setText(card.name, seat.name);
  card.name.title = seat.name;
  const text = state === "stuck" && room.seats.length <= FEW ? why(seat.reasons[0]) : stateText(seat);
  if (card.was !== `${state} ${text}`) card.state.replaceChildren(icon(state), make("span", {}, text));
  card.was = `${state} ${text}`;
  setText(card.lesson, lessonText(seat));
  card.lesson.title = lessonText(seat);
  card.progress.max = seat.lesson?.of || 1;
  card.progress.value = seat.lesson?.done || 0;
  setText(card.done, wayText(seat));
  card.progress.hidden = !seat.lesson?.of;
}

function showSeats() {
  const list = byId("seats");
  list.classList.toggle("few", room.seats.length <= FEW);
  list.classList.toggle("many", room.seats.length > MANY);
  for (const seat of room.seats) {
    if (!cards.has(seat.user)) {
      cards.set(seat.user, newCard(seat));
      list.append(cards.get(seat.user).item);
    }
    fillCard(cards.get(seat.user), seat);
  }
  for (const [user, card] of cards) {
    if (!room.seats.some((seat) => seat.user === user)) {
      card.item.remove();
      cards.delete(user);
    }
  }
  byId("empty").hidden = room.seats.length > 0;
}

// ---- who needs the trainer -----------------------------------------------------------------------------------------

const needing = () => room.seats.filter((seat) => seat.reasons.length);

function longest(seat) {
  const asked = seat.asked ? 0 : 1; // who asked comes first, then who has waited longest
  return [asked, seat.reasons[0].since ?? room.at];
}

function newNeed(seat) {
  const name = make("button", { type: "button", "aria-haspopup": "dialog" }, seat.name);
  name.addEventListener("click", () => openSeat(seat.user));
  const item = make("li", { class: seat.asked ? "asked" : "stuck" },
    make("h3", {}, icon(seat.asked ? "asked" : "stuck"), name, make("span", { class: "number" }, `seat ${seat.number}`)),
    make("p", { class: "where" }, lessonText(seat)),
    ...seat.reasons.map((reason) => make("p", { class: "why" }, why(reason))));
  if (seat.asked) item.append(helpButtons(seat));
  return item;
}

function helpButtons(seat) {
  const button = (action, text) => {
    const made = make("button", { type: "button", "data-key": `${action} ${seat.user}` }, text);
    made.addEventListener("click", () => act({ do: action, to: [seat.user] }));
    return made;
  };
  const row = make("p", { class: "row" });
  if (!seat.coming) row.append(button("coming", "I am coming"));
  row.append(button("answered", "Answered"));
  if (seat.may_open) row.append(make("a", { class: "button", href: labOf(seat), target: "_blank", rel: "noopener" }, "Open lab"));
  return row;
}

let needsWere = "";

function showNeeds() {
  const all = needing().sort((a, b) => (longest(a) < longest(b) ? -1 : 1));
  const text = JSON.stringify(all.map((seat) => [seat.user, seat.name, seat.coming, seat.may_open, lessonText(seat), seat.reasons.map(why)]));
  if (text !== needsWere) {
    const focused = document.activeElement?.dataset?.key;
    byId("needs").replaceChildren(...all.map(newNeed));
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
    needsWere = text;
  }
  byId("nobody").hidden = all.length > 0;
  setText(byId("needs-title"), all.length ? `Needs you (${all.length})` : "Needs you");
  document.title = all.length ? `(${all.length}) Workshop board` : "Workshop board";
  announce(all);
}

function announce(all) {
  const users = new Set(all.map((seat) => seat.user));
  const fresh = known && all.filter((seat) => !known.has(seat.user));
  if (fresh?.length) setText(byId("said"), fresh.map((seat) => `${seat.name}: ${seat.reasons[0].text}`).join(". "));
  known = users;
}

// ---- the room, the machine, the notes ------------------------------------------------------------------------------

function showCounts() {
  const count = (test) => room.seats.filter(test).length;
  const counts = [
    ["", room.seats.length, `of ${room.learners} seats`],
    ["", count((seat) => !["stopped", "starting"].includes(seat.state)), "running"],
    ["asked", count((seat) => seat.asked), "asked"],
    ["stuck", count((seat) => seat.state === "stuck"), "stuck"],
    ["", count((seat) => seat.state === "finished"), "done"],
  ];
  byId("counts").replaceChildren(...counts.filter(([kind, number]) => number || !kind).map(([kind, number, text]) =>
    make("li", { class: kind }, make("b", {}, String(number)), text)));
}

function meter(name, part, text) {
  const percent = Math.round(100 * part);
  const high = percent >= HIGH ? "high" : "";
  return make("div", {}, make("dt", {}, name), make("dd", { class: high },
    make("progress", { class: high, max: 100, value: percent, "aria-hidden": "true" }), text));
}

function showMachine() {
  const load = room.load;
  if (!load) return;
  const memory = load.memory_used / load.memory;
  const disk = load.disk_used / load.disk;
  byId("machine").replaceChildren(
    meter("Processors", load.cpu_percent / 100, `${Math.round(load.cpu_percent)} % of ${load.cpus}`),
    meter("Memory", memory, `${bytes(load.memory_used)} of ${bytes(load.memory)}`),
    meter("Disk", disk, `${bytes(load.disk_used)} of ${bytes(load.disk)}`));
}

function showNotes() {
  byId("notes-part").hidden = room.notes.length === 0;
  const names = new Map(room.seats.map((seat) => [seat.user, seat.name]));
  byId("notes").replaceChildren(...room.notes.toReversed().map((note) => make("li", {},
    make("time", { datetime: note.at }, clock(note.at)), note.to ? ` to ${names.get(note.to) ?? note.to}: ` : " to all: ", note.text)));
}

function show() {
  showSeats();
  showNeeds();
  showCounts();
  showMachine();
  showNotes();
  setText(byId("heard"), `As of ${new Date(room.at).toLocaleTimeString()}`);
  trouble(room.hub ? "" : "The hub is away. Learners work on, but nobody can join, and nothing can be started, stopped or reset.");
  if (shown) showSeat();
}

function trouble(text) {
  const place = byId("trouble");
  setText(place, text);
  place.hidden = !text;
}

// ---- a seat's dialog -----------------------------------------------------------------------------------------------

const labOf = (seat) => `${base.replace(/services\/.*/, "")}user/${encodeURIComponent(seat.user)}/lab${seat.lesson?.path ? `/tree/${seat.lesson.path.split("/").map(encodeURIComponent).join("/")}` : ""}`;
const seatShown = () => room.seats.find((seat) => seat.user === shown);

function openSeat(user) {
  shown = user;
  showSeat();
  byId("seat").showModal();
}

function showSeat() {
  const seat = seatShown();
  if (!seat) return;
  setText(byId("seat-name"), `${seat.name} · seat ${seat.number}`);
  const facts = [
    ["State", seat.state === "stuck" ? STATES.stuck : stateText(seat)],
    ["Lesson", lessonText(seat)],
    ["Done here", wayText(seat) || "–"],
    ["Lessons finished", `${seat.finished} of ${room.lessons.length}`],
    ["Refused tries", String(seat.refused)],
    ["Last seen doing", seat.active ? ago(seat.active) : "nothing yet"],
    ["Memory", seat.memory ? bytes(seat.memory) : "not measured yet"],
    ["User", seat.user],
  ];
  byId("seat-facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
  byId("seat-reasons").replaceChildren(...seat.reasons.map((reason) => make("li", { class: reason.rule }, why(reason))));
  byId("seat-help").hidden = !seat.asked;
  byId("seat-open").hidden = !seat.may_open;
  byId("seat-open").href = labOf(seat);
  for (const button of byId("seat").querySelectorAll("[data-do=start], [data-do=stop], .do-reset")) button.disabled = Boolean(seat.doing);
}

// ---- what the trainer does -----------------------------------------------------------------------------------------

async function act(action) {
  try {
    const answer = await fetch(`${base}actions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-XSRFToken": xsrf },
      body: JSON.stringify(action),
    });
    if (answer.status === 403) location.reload(); // logged out meanwhile
    if (!answer.ok) throw new Error((await answer.json()).error.message);
    return true;
  } catch (error) {
    trouble(`That was not done: ${error.message}`);
    return false;
  }
}

function sure(title, text, yes) {
  return new Promise((resolve) => {
    setText(byId("sure-title"), title);
    setText(byId("sure-text"), text);
    setText(byId("sure-yes"), yes);
    const dialog = byId("sure");
    dialog.returnValue = "";
    byId("sure-yes").onclick = () => dialog.close("yes");
    byId("sure-no").onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
    dialog.showModal();
  });
}

const named = (to) => (to === "all" ? `all ${room.seats.length} learners` : seatShown()?.name);

function wire(dialog, to) {
  for (const button of dialog.querySelectorAll("[data-do]")) {
    button.addEventListener("click", async () => {
      const action = { do: button.dataset.do, to: to() };
      if (button.dataset.ask && !(await sure(`${button.textContent}: ${named(to())}?`, button.dataset.ask, button.textContent))) return;
      act(action);
    });
  }
  const row = dialog.querySelector(".reset");
  row.append(byId("reset").content.cloneNode(true));
  row.querySelector("button").addEventListener("click", async () => {
    const what = row.querySelector("select").value;
    const words = row.querySelector("select").selectedOptions[0].textContent;
    const means = RESET_MEANS[what] ?? "The lesson is brought anew; what was written is moved aside, not deleted.";
    if (await sure(`Reset ${words} of ${named(to())}?`, `${means} Running cells end.`, "Reset")) act({ do: "reset", to: to(), what });
  });
}

function fillResets() {
  for (const select of document.querySelectorAll(".reset select")) {
    if (select.options.length) continue;
    select.append(...RESETS.map(([value, text]) => make("option", { value }, text)),
      make("optgroup", { label: "one lesson" }, ...room.lessons.map((lesson) => make("option", { value: `lesson:${lesson.path}` }, `“${lesson.title}”`))));
  }
}

let noteTo = "all";

function openNote(to, name) {
  noteTo = to;
  setText(byId("note-title"), `Note to ${name}`);
  setText(byId("note").querySelector("label"), "It appears in JupyterLab at once, and stays until it is read");
  byId("note").showModal();
  byId("note-text").focus();
}

async function sendNote() {
  const text = byId("note-text").value;
  if (!text.trim() || !(await act({ do: "note", to: noteTo, text }))) return;
  byId("note-text").value = "";
  byId("note").close();
  setText(byId("said"), "The note was sent.");
}

wire(byId("seat"), () => [shown]);
wire(byId("room"), () => "all");
byId("seat").addEventListener("close", () => { shown = null; });
byId("whole-room").addEventListener("click", () => byId("room").showModal());
byId("to-all").addEventListener("click", () => openNote("all", "all"));
byId("seat-note").addEventListener("click", () => openNote([shown], seatShown().name));
byId("note-send").addEventListener("click", sendNote);
byId("note-text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) sendNote(); });

// ---- what the board says -------------------------------------------------------------------------------------------

function listen() {
  const events = new EventSource(`${base}events?_xsrf=${encodeURIComponent(xsrf)}`);
  events.addEventListener("room", (event) => {
    room = JSON.parse(event.data);
    fillResets();
    show();
  });
  events.onerror = async () => {
    if (events.readyState !== EventSource.CLOSED) return; // the browser connects again by itself
    const since = room ? ` What is shown is as of ${clock(room.at)}.` : "";
    trouble(`The board does not answer: the hub has stopped, or the network is gone. Learners work on.${since}`);
    const answer = await fetch(`${base}events?_xsrf=${encodeURIComponent(xsrf)}`, { method: "HEAD" }).catch(() => null);
    if (answer?.status === 403) location.reload();
    else setTimeout(listen, RETRY_MS);
  };
}

listen();
