"use strict";
// What every page does: focus on a refusal, a file read into its field, a word before an idle screen locks, one send of a form.

document.addEventListener("DOMContentLoaded", () => {
  document.getElementById("refusal")?.focus();
  for (const chooser of document.querySelectorAll("[data-fills]")) {
    chooser.addEventListener("change", async () => {
      if (chooser.files.length && chooser.files[0].size < 65536) {
        document.getElementById(chooser.dataset.fills).value = await chooser.files[0].text();
      }
    });
  }
  for (const form of document.querySelectorAll('form[method="post"]')) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) {
        event.preventDefault();
      } else if (!event.defaultPrevented) {
        form.dataset.sent = "yes";
      }
    });
  }
  watchIdle(Number(document.body.dataset.idleMinutes));
});

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

function watchIdle(minutes) {
  if (!minutes || document.querySelector("[data-facts]")) return;
  const dutch = document.documentElement.lang === "nl";
  const told = document.createElement("p");
  told.className = "idle";
  told.setAttribute("role", "alert");
  setTimeout(
    () => {
      told.textContent = dutch
        ? "Dit scherm wordt over een minuut afgemeld. Open een bladzijde om aangemeld te blijven."
        : "This screen will be signed out in a minute. Open a page to stay signed in.";
      document.body.append(told);
    },
    Math.max(0, minutes - 1) * 60000,
  );
  setTimeout(() => location.replace("/sign-in"), minutes * 60000 + 2000);
}
