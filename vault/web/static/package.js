"use strict";
// How far a package is; when it is made, or failed, the page is loaded anew.

document.addEventListener("DOMContentLoaded", () => {
  const bar = document.querySelector("[data-progress]");
  if (!bar) return;
  const ask = async () => {
    const reply = await fetch(bar.dataset.progress, { headers: { Accept: "application/json" } }).catch(() => null);
    const told = reply?.ok ? await reply.json() : null;
    if (told?.state === "making") {
      bar.value = told.done_bytes;
      document.querySelector("[data-told]").textContent =
        `${(told.done_bytes / 1e6).toFixed(1)} / ${(told.total_bytes / 1e6).toFixed(1)} MB`;
    } else {
      location.reload();
    }
  };
  setInterval(ask, 500);
  // Asking where the viewing stands says that this screen is still there.
  setInterval(() => fetch(bar.dataset.progress.replace("/handover/progress", "/here")), 2000);
});
