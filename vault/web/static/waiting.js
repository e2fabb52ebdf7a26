"use strict";
// A viewing's page between the first unlocking and the second: it asks where the viewing stands, and goes on when it is open.

document.addEventListener("DOMContentLoaded", () => {
  const room = document.querySelector("[data-waiting]");
  if (!room) return;
  const address = room.dataset.waiting;
  const shown = room.dataset.for ?? "";
  // A form that is on its way decides where the page goes: what is asked meanwhile must not reload it.
  let leaving = false;
  addEventListener("beforeunload", () => {
    leaving = true;
  });
  setInterval(async () => {
    const reply = await fetch(`${address}/here`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (!reply || reply.status === 401) return;
    const standing = await reply.json();
    if (leaving) return;
    if (standing.joined) location.assign(`${address}/watch`);
    else if (standing.waiting !== shown && !document.activeElement?.matches("input")) location.reload();
  }, 1000);
});
