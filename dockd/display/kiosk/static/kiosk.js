"use strict";
// The dock's page: the server says what changed; this draws it. A server that says nothing is shown as one that is silent.

const dutch = document.documentElement.lang === "nl";
const words = dutch
  ? {
      empty: "Zet uw camera in het dock.",
      silent:
        "Het dock antwoordt niet. Laat de camera's staan; zij houden hun opnamen. Roep de technisch beheerder als dit zo blijft.",
      bay: "Vak",
      write: "Vastleggen in de Beeldkluis",
      other: "English",
    }
  : {
      empty: "Put your camera into the dock.",
      silent:
        "The dock does not answer. Leave the cameras; they keep their recordings. Call the technical administrator if this lasts.",
      bay: "Bay",
      write: "Report it in the recording vault",
      other: "Nederlands",
    };
const bays = document.getElementById("bays");
const empty = document.getElementById("empty");
const silent = document.getElementById("silent");
const backOffice = document.body.dataset.backOffice;
let heard = Date.now();

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  if (text) made.textContent = text;
  return made;
}

function draw(tile) {
  const box = element("article", `tile tile--${tile.lamp}`);
  const head = element("h2", "");
  head.append(element("span", "", `${words.bay} ${tile.bay}`), element("span", "", tile.battery));
  const word = element("p", "tile__word");
  const sign = element("span", "", tile.sign);
  sign.setAttribute("aria-hidden", "true");
  word.append(sign, element("span", "", tile.word));
  box.append(
    head,
    word,
    element("p", "tile__who", [tile.camera, tile.whose].filter(Boolean).join(" · ")),
    element("p", "tile__do", tile.do),
  );
  if (tile.part !== null) {
    const bar = element("progress", "tile__bar");
    bar.max = 100;
    bar.value = tile.part;
    bar.setAttribute("aria-label", tile.word);
    box.append(bar);
  }
  const numbers = [tile.count, tile.rate, tile.left].filter(Boolean);
  if (numbers.length) {
    const line = element("p", "tile__numbers");
    for (const one of numbers) line.append(element("span", "", one));
    box.append(line);
  }
  if (tile.detail) {
    const detail = element("p", "tile__detail", tile.detail);
    detail.lang = "en";
    box.append(detail);
  }
  if (tile.reports) {
    const line = element("p", "tile__reports", tile.reports);
    const way = element("a", "", words.write);
    way.href = `${backOffice}/reports`;
    line.append(way);
    box.append(line);
  }
  return box;
}

function show(told) {
  heard = Date.now();
  silent.hidden = told.answers;
  empty.hidden = !told.answers || told.tiles.length > 0;
  bays.replaceChildren(...told.tiles.map(draw));
}

function listen() {
  const source = new EventSource(`/live?language=${document.documentElement.lang}`);
  source.onmessage = (event) => show(JSON.parse(event.data));
}

empty.textContent = words.empty;
silent.textContent = words.silent;
const other = document.getElementById("language");
other.textContent = words.other;
other.lang = dutch ? "en" : "nl";
other.href = dutch ? "/?language=en" : "/";
setInterval(() => {
  document.getElementById("clock").textContent = new Date().toLocaleTimeString(dutch ? "nl-NL" : "en-GB", {
    hour: "2-digit",
    minute: "2-digit",
  });
  if (Date.now() - heard > 15000) show({ answers: false, tiles: [] });
}, 1000);
listen();
