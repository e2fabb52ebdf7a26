"use strict";
// The player. It offers nothing to save: segments come over the session's own address, are given to the video, and forgotten.

document.addEventListener("DOMContentLoaded", () => {
  const root = document.querySelector("[data-facts]");
  const facts = JSON.parse(root.dataset.facts);
  const find = (name) => root.querySelector(`[data-${name}]`);
  const video = root.querySelector("video");
  const base = `/viewings/${facts.viewing}/${facts.recording}`;
  const dutch = document.documentElement.lang === "nl";
  const LOOK_S = 0.02;
  let hls = null;
  let file = 0;
  let over = false;

  const seconds = () => (facts.init ? facts.duration_ms / 1000 : video.duration || 1);
  const stamp = (at) =>
    `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, "0")}.${Math.floor((at % 1) * 10)}`;

  function openSegments() {
    hls = new Hls({
      maxBufferLength: 20,
      backBufferLength: 30,
      maxMaxBufferLength: 30,
      startFragPrefetch: true,
      enableWorker: false,
      progressive: false,
      maxBufferHole: 0.2,
      nudgeMaxRetry: 10,
    });
    hls.loadSource(`${base}/playlist.m3u8`);
    hls.attachMedia(video);
    hls.on(Hls.Events.FRAG_LOADED, () => {
      find("error").hidden = true;
    });
    hls.on(Hls.Events.ERROR, (_, told) => {
      const status = told.response?.code;
      if (status === 403 || status === 410 || status === 401) return end();
      if (told.fatal) {
        find("error").hidden = false;
        hls.startLoad();
      }
    });
  }

  function openFile() {
    video.src = `${base}/${file}.file`;
    video.addEventListener("ended", () => {
      if (file + 1 < facts.files) {
        file += 1;
        video.src = `${base}/${file}.file`;
        video.play();
      }
    });
    video.addEventListener("error", () => {
      if (!over) find("error").hidden = false;
    });
  }

  function drawMarks() {
    const marks = find("marks");
    const add = (from, to, colour) => {
      const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const scale = 1000 / facts.duration_ms;
      mark.setAttribute("x", from * scale);
      mark.setAttribute("width", Math.max(2, (to - from) * scale));
      mark.setAttribute("height", 20);
      mark.setAttribute("fill", colour);
      marks.append(mark);
    };
    if (facts.init && facts.switched_on_ms !== null) add(0, facts.switched_on_ms, "#f2b84b");
    if (facts.init) for (const [start, length] of facts.gaps) add(start, start + length, "#1c2733");
    if (facts.init && facts.switched_on_ms !== null)
      add(facts.switched_on_ms, facts.switched_on_ms + facts.duration_ms / 300, "#b3261e");
  }

  function end() {
    if (over) return;
    over = true;
    video.pause();
    if (hls) hls.destroy();
    video.removeAttribute("src");
    video.load();
    find("over").hidden = false;
    find("gap").hidden = true;
    for (const one of root.querySelectorAll(".player__buttons button, .player__buttons select, [data-seek]"))
      one.disabled = true;
  }

  const gapAt = (ms) => facts.gaps.find(([start, length]) => ms >= start - 5 && ms < start + length - 5);

  function show() {
    const at = video.currentTime;
    find("time").textContent = `${stamp(at)} / ${stamp(seconds())}`;
    const seek = find("seek");
    if (document.activeElement !== seek || !video.paused) seek.value = (1000 * at) / seconds();
    seek.setAttribute("aria-valuetext", stamp(at));
    find("gap").hidden = over || !gapAt(at * 1000);
  }

  // In a gap there is nothing to play: it is shown for a moment, and play goes on behind it.
  let inGap = 0;
  setInterval(() => {
    const gap = gapAt(video.currentTime * 1000 + 250);
    if (over || !gap || video.paused) {
      inGap = 0;
      return;
    }
    find("gap").hidden = false;
    inGap += 1;
    if (inGap >= 6) {
      inGap = 0;
      video.currentTime = (gap[0] + gap[1]) / 1000 + 0.02;
    }
  }, 250);

  const jump = (to) => {
    video.currentTime = Math.min(Math.max(0, to), seconds());
  };

  // How long a frame lasts no camera states: a step looks on in small strides until the picture that is shown is another one.
  let shown = 0;
  const follow = (_, frame) => {
    shown = frame.mediaTime;
    video.requestVideoFrameCallback(follow);
  };
  video.requestVideoFrameCallback(follow);
  const once = (kind) => new Promise((done) => video.addEventListener(kind, done, { once: true }));
  const painted = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  let stepping = false;
  async function step(by) {
    if (stepping || over) return;
    stepping = true;
    video.pause();
    const before = shown;
    for (let stride = 1; stride <= 25 && shown === before; stride += 1) {
      const sought = once("seeked");
      jump(before + by * LOOK_S * stride + 0.001);
      await sought;
      await painted();
    }
    stepping = false;
  }

  const toggle = () => (video.paused ? video.play() : video.pause());
  find("play").addEventListener("click", toggle);
  find("to-on")?.addEventListener("click", () => jump(facts.switched_on_ms / 1000));
  find("back").addEventListener("click", () => step(-1));
  find("forward").addEventListener("click", () => step(1));
  find("speed").addEventListener("change", (event) => {
    video.playbackRate = Number(event.target.value);
  });
  find("sound").addEventListener("input", (event) => {
    video.volume = Number(event.target.value);
  });
  find("seek").addEventListener("input", (event) => jump((event.target.value / 1000) * seconds()));
  video.addEventListener("contextmenu", (event) => event.preventDefault());
  video.addEventListener("click", toggle);
  for (const kind of ["timeupdate", "seeking", "seeked", "loadedmetadata"]) video.addEventListener(kind, show);
  for (const kind of ["play", "pause"]) {
    video.addEventListener(kind, () => {
      find("play").textContent = video.paused ? find("play").dataset.playText : find("play").dataset.pauseText;
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select, textarea, button, a")) return;
    if (event.key === " ") {
      event.preventDefault();
      toggle();
    }
    if (event.key === ",") step(-1);
    if (event.key === ".") step(1);
  });

  const clock = () => {
    find("clock").textContent = new Date().toLocaleString(dutch ? "nl-NL" : "en-GB");
  };
  clock();
  setInterval(clock, 1000);

  async function here() {
    if (over) return;
    const reply = await fetch(`/viewings/${facts.viewing}/here`, { headers: { Accept: "application/json" } }).catch(
      () => null,
    );
    const standing = reply?.ok ? await reply.json() : null;
    if (!standing?.joined) return end();
    find("left").textContent = `${Math.floor(standing.seconds_left / 60)} min`;
  }
  here();
  setInterval(here, 1000);

  drawMarks();
  if (facts.init) openSegments();
  else openFile();
});
