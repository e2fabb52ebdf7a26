"use strict";
// Security keys: the browser asks the key for its signature and for the secret of its PRF extension; both go into the form.

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)));

function withBuffers(options) {
  const read = { ...options, challenge: bytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: bytes(options.user.id) };
  for (const list of ["allowCredentials", "excludeCredentials"]) {
    if (options[list]) read[list] = options[list].map((one) => ({ ...one, id: bytes(one.id) }));
  }
  const first = options.extensions.prf.eval.first;
  read.extensions = { prf: { eval: { first: typeof first === "string" ? bytes(first) : first } } };
  return read;
}

function answerOf(credential, secret) {
  const told = credential.toJSON();
  delete told.clientExtensionResults;
  return JSON.stringify({ credential: { ...told, clientExtensionResults: {} }, secret: base64(secret) });
}

async function use(proof) {
  const state = proof.querySelector(".proof__state");
  const field = proof.dataset.personField;
  const form = proof.closest("form");
  const person = field ? form.elements[field].value : proof.dataset.person;
  state.textContent = state.dataset.nlWait;
  try {
    const asked = await (await fetch(`/challenge?person=${encodeURIComponent(person)}`)).json();
    const credential = await navigator.credentials.get({ publicKey: withBuffers(asked.options) });
    const secret = credential.getClientExtensionResults().prf?.results?.first;
    if (!secret) throw new Error("no secret");
    form.elements[`${proof.dataset.proof}answer`].value = answerOf(credential, secret);
    form.elements[`${proof.dataset.proof}challenge`].value = asked.challenge;
    state.textContent = "✓";
    const others = [...form.querySelectorAll("[data-proof]")].filter(
      (one) => one !== proof && one.checkVisibility({ contentVisibilityAuto: true }),
    );
    if (!others.length && form.checkValidity()) form.requestSubmit();
  } catch {
    state.textContent = state.dataset.nlFailed;
  }
}

async function add(form) {
  const state = form.querySelector(".proof__state");
  state.textContent = state.dataset.nlWait;
  try {
    const body = new URLSearchParams({ csrf: form.elements.csrf.value, passphrase: form.elements.passphrase.value });
    const reply = await fetch("/me/key/ask", { method: "POST", body, headers: { Accept: "application/json" } });
    if (!reply.ok) throw new Error("refused");
    const asked = await reply.json();
    const made = await navigator.credentials.create({ publicKey: withBuffers(asked.options) });
    let secret = made.getClientExtensionResults().prf?.results?.first;
    if (!secret) {
      // Many keys answer the PRF only when they are used, not when they are made: use it once.
      const again = {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        allowCredentials: [{ type: "public-key", id: made.rawId }],
        userVerification: "required",
        extensions: withBuffers(asked.options).extensions,
      };
      const used = await navigator.credentials.get({ publicKey: again });
      secret = used.getClientExtensionResults().prf?.results?.first;
    }
    if (!secret) throw new Error("no secret");
    form.elements.new_answer.value = answerOf(made, secret);
    form.elements.new_challenge.value = asked.challenge;
    delete form.dataset.sent;
    form.submit();
  } catch {
    delete form.dataset.sent;
    state.textContent = state.dataset.nlFailed;
  }
}

document.addEventListener("DOMContentLoaded", () => {
  if (!window.PublicKeyCredential) return;
  for (const proof of document.querySelectorAll("[data-proof]")) {
    const button = proof.querySelector("[data-use-key]");
    button.hidden = false;
    button.addEventListener("click", () => use(proof));
  }
  const form = document.querySelector("[data-new-key]");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    add(form);
  });
});
