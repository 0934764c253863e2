// The one-task screen: a scanner that types, a gloved finger, a site that may restart. No framework, no build.
(() => {
  "use strict";
  const POLL_MS = 1500;
  const WEDGE_MS = 60; // between two characters: a scanner types faster than any hand
  const LABEL_GS = "␝"; // FNC1 between the elements of a label, as people see it
  const one = (selector, inside) => (inside || document).querySelector(selector);
  const all = (selector, inside) => [...(inside || document).querySelectorAll(selector)];
  const work = one("iso-work");
  const away = one(".away");

  // ---- the node ----
  const send = async (path, body, token) => {
    const headers = { "content-type": "application/json" };
    if (token) headers.authorization = `Bearer ${token}`;
    // With a token it is another person's session: this screen's own cookie is neither sent nor replaced.
    const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: token === undefined ? "same-origin" : "omit" });
    if (answer.status === 401 && token === undefined && path !== "/api/sign-in" && path !== "/api/sign-in/passkey") enter("You are not signed in any more. What you typed stays here.");
    return answer;
  };
  const problemOf = async (answer) => { try { return await answer.json(); } catch { return { what: "The request was refused", why: `status ${answer.status}` }; } };
  const LOST = { what: "No answer from this site", why: "its server may be starting again; nothing was recorded by this", possible: "try again in a moment" };
  const clear = (box) => { if (box) { box.replaceChildren(); box.classList.remove("shown"); } };
  const sentence = (words) => { const said = String(words); return said.charAt(0).toUpperCase() + said.slice(1) + (/[.!?]$/.test(said) ? "" : "."); };
  const refuse = (box, problem, title) => {
    if (!box) return;
    clear(box);
    const line = (kind, words) => { const made = document.createElement(kind); made.textContent = words; box.appendChild(made); };
    line("b", title || sentence(problem.what || "It was refused"));
    if (problem.why) line("span", sentence(problem.why));
    if (problem.possible) line("span", sentence(`Possible: ${problem.possible}`));
    box.classList.add("shown");
    box.scrollIntoView({ block: "nearest" });
  };
  let busy = false;
  const alone = async (inside, act) => {
    if (busy) return;
    busy = true;
    const buttons = all("button", inside).filter((each) => !each.disabled);
    buttons.forEach((each) => { each.disabled = true; });
    try { await act(); }
    catch (trouble) {
      if (trouble instanceof DOMException) refuse(one(".refusal", inside), { what: "The passkey did not answer", why: trouble.message, possible: "try again, or use your password" });
      else refuse(one(".refusal", inside), LOST);
    } finally { busy = false; buttons.forEach((each) => { each.disabled = false; }); }
  };

  // ---- what is shown, asked for again and again ----
  const card = () => one(".card[data-path]");
  const writing = () => all("input", work).some((each) => each.value && each.type !== "radio");
  let shown = "", steady = [], failed = 0;
  const clock = () => {
    // The site's clock between two looks: it may run faster than this tablet's, and it is corrected.
    if (!steady.length) return Date.now();
    const [site, here] = steady[steady.length - 1];
    const rates = steady.slice(1).map(([at, seen], before) => (at - steady[before][0]) / Math.max(1, seen - steady[before][1])).sort((a, b) => a - b);
    const rate = rates.length ? Math.max(0, rates[rates.length >> 1]) : 1; // the usual one: a correction is a step, not a speed
    return site + (performance.now() - here) * rate;
  };
  const tick = () => {
    for (const each of all("[data-until]")) {
      const left = (Date.parse(each.dataset.until) - clock()) / 1000;
      const size = Math.max(0, Math.ceil(left)), pad = (number) => String(number).padStart(2, "0");
      const hours = Math.floor(size / 3600);
      const words = left <= 0 ? "0:00" : hours ? `${hours}:${pad(Math.floor(size / 60) % 60)}:${pad(size % 60)}` : `${Math.floor(size / 60)}:${pad(size % 60)}`;
      if (each.textContent !== words) each.textContent = words;
      each.closest(".timer")?.classList.toggle("late", left <= 0 && !each.closest(".timer.wait"));
    }
  };
  const look = async (now) => {
    if (!work) return;
    try {
      const task = work.dataset.task ? `?task=${encodeURIComponent(work.dataset.task)}` : "";
      const answer = await fetch(work.getAttribute("src") + task, { cache: "no-store" });
      if (failed) { failed = 0; away.hidden = true; document.body.classList.remove("cut"); }
      if (answer.status === 401) { enter("The site has started again, or nobody touched this screen for a while. What you typed stays here."); return; }
      if (!answer.ok) return;
      const part = await answer.json();
      steady = [...steady, [Date.parse(part.now), performance.now()]].slice(-8);
      if (part.html !== shown && (now || (!writing() && !one("dialog[open]") && !one(".card .refusal.shown")))) {
        work.innerHTML = part.html;
        shown = part.html;
        ready();
      }
      tick();
    } catch {
      failed += 1;
      if (failed > 1 || now) { away.hidden = false; document.body.classList.add("cut"); }
    }
  };
  const again = async () => { for (const each of all("input", work)) each.value = ""; shown = ""; delete work.dataset.task; await look(true); };
  // ---- commands: what the site says is possible now ----
  const control = async () => {
    const dialog = one("#commands"), batch = one("form", dialog).dataset.batch;
    const [detail, progress] = await Promise.all([fetch(`/api/batches/${batch}`), fetch(`/api/batches/${batch}/progress`)]);
    if (!detail.ok || !progress.ok) { refuse(one(".refusal", dialog), await problemOf(detail.ok ? progress : detail)); return; }
    const list = (await detail.json()).possible, now = await progress.json(), base = `/api/batches/${batch}`;
    const may = (one("[data-may]", work)?.dataset.may || "").split(" ");
    const plain = (name) => name.replace(/_/g, " ");
    const press = (words, path, body, kind) => {
      const made = document.createElement("button");
      made.type = "button";
      made.className = `big second ${kind || ""}`;
      made.textContent = words;
      Object.assign(made.dataset, { command: body.command || "step", path, body: JSON.stringify(body) });
      return made;
    };
    const group = (title, buttons) => {
      if (!buttons.length) return [];
      const head = document.createElement("h3"), box = document.createElement("div");
      head.textContent = title;
      box.className = "choices";
      box.replaceChildren(...buttons);
      return [head, box];
    };
    one("[data-slot=mode]", dialog).textContent = `${sentence(now.state)} Mode: ${now.mode}.`;
    one("[data-slot=commands]", dialog).replaceChildren(...list.map((each) => press(sentence(each).slice(0, -1), `${base}/commands`, { command: each }, each === "abort" || each === "stop" ? "grave" : "")));
    const modes = ["automatic", "semi-automatic", "manual"].filter((each) => each !== now.mode).map((each) => press(sentence(each).slice(0, -1), `${base}/mode`, { mode: each }));
    const reached = Object.entries(now.reached).map(([place, why]) => press(`Let it go on: ${plain(place)} (${why})`, `${base}/transitions`, { place }));
    const byHand = now.mode === "manual" ? [
      ...now.ready.map((each) => press(`Start ${plain(each)}`, `${base}/phases/${each}`, { do: "start" })),
      ...now.running.map((each) => press(`Complete ${plain(each)}`, `${base}/phases/${each}`, { do: "complete" }, "grave")),
      ...Object.entries(now.choices).flatMap(([place, ways]) => ways.map((each, way) => press(`Take: ${each || "otherwise"}`, `${base}/ways`, { place, way }))),
      ...Object.entries(now.rounds).flatMap(([place]) => [press(`Another round of ${plain(place)}`, `${base}/ways`, { place, again: true }), press(`No more of ${plain(place)}`, `${base}/ways`, { place, again: false })]),
    ] : [];
    const formula = now.parameters.filter((each) => each.adjustable).map((each) => {
      const said = (number) => Number(number.toPrecision(6)), is = `${said(each.value)} ${each.unit === "1" ? "" : each.unit}`.trim();
      const { low, high } = each, limits = low === null && high === null ? "" : `Limits: ${high === null ? `at least ${said(low)}` : low === null ? `at most ${said(high)}` : `${said(low)} to ${said(high)}`} ${each.unit}`;
      const made = press(`${plain(each.name)}: ${is}`, "", {});
      Object.assign(made.dataset, { formula: `${base}/formula/${each.name}`, name: plain(each.name), was: is, unit: each.unit, limits });
      delete made.dataset.command;
      return made;
    });
    one("[data-slot=steps]", dialog).replaceChildren(...[["step", "It waits for you", reached], ["step", "By hand", byHand], ["", "Change a parameter: a process engineer or quality signs", formula], ["mode", "Change the mode", modes]].flatMap(([act, title, buttons]) => !act || may.includes(act) ? group(title, buttons) : []));
  };

  // ---- scan first: whatever is typed without a field goes to the scan field ----
  const scanField = () => one("dialog[open]") ? (one("#correct[open] input[name=answer]") === document.activeElement ? document.activeElement : null) : one("[data-scan]");
  let strokes = [];
  const ready = () => { if (one("dialog[open]") || one("[data-scan]")) clear(one(".stray")); const field = scanField(); strokes = []; if (field && document.activeElement !== field) field.focus({ preventScroll: true }); };
  const byScanner = () => { // by the usual gap: a busy tablet is late with one or two
    const gaps = strokes.slice(1).map((each, at) => Math.abs(each - strokes[at])).sort((a, b) => a - b);
    return gaps.length > 2 && gaps[gaps.length >> 1] < WEDGE_MS && gaps[gaps.length - 1] < 10 * WEDGE_MS;
  };
  // A scanner that types while another step is on top: the one step that waits for a label takes it.
  let loose = "";
  const astray = (event) => {
    if (!work || one("dialog[open]") || event.target instanceof HTMLInputElement) return;
    const group = event.ctrlKey && event.key === "]";
    if (group || (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey)) {
      const now = performance.now();
      if (!strokes.length || now - strokes[strokes.length - 1] > 10 * WEDGE_MS) { loose = ""; strokes = []; }
      if (loose || group) event.preventDefault(); // a blank must not press the button that has the focus
      loose += group ? LABEL_GS : event.key;
      strokes.push(now);
    } else if (event.key === "Enter" && loose.length > 3 && byScanner()) {
      event.preventDefault(); // nor must the end of a scan
      const read = loose;
      loose = "";
      strokes = [];
      elsewhere(read);
    }
  };
  const elsewhere = async (read) => {
    const box = one(".stray"), waiting = all("[data-scannable]", work);
    clear(box);
    if (waiting.length !== 1) {
      refuse(box, waiting.length ? { why: "more than one step waits for a label", possible: "choose the step first" } : { why: "no step here waits for a label now" }, "Not recorded");
      return;
    }
    work.dataset.task = waiting[0].dataset.pick;
    shown = "";
    await look(true);
    await give(read, "scanned");
  };
  document.addEventListener("keydown", (event) => {
    const field = scanField();
    if (!field) { astray(event); return; }
    const target = event.target;
    const elsewhere = !(target instanceof HTMLInputElement);
    if (elsewhere && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) field.focus({ preventScroll: true });
    if (document.activeElement !== field) return;
    if (event.ctrlKey && event.key === "]") { event.preventDefault(); field.value += LABEL_GS; strokes.push(performance.now()); return; } // GS, as a wedge sends it
    if (event.key.length === 1) { if (!field.value) strokes = []; strokes.push(performance.now()); }
    if (event.key === "Enter" && one("dialog[open]")) { act.entered = byScanner() ? "scanned" : "typed"; event.preventDefault(); one("#correct input[name=why]").focus(); return; } // a scanner ends with it; the signature is still missing
    if (event.key === "Backspace") strokes.push(-1e6); // a hand was in it
  }, true);
  document.addEventListener("pointerup", (event) => { if (!event.target.closest?.("input, button, a, dialog, label")) ready(); });

  // ---- answers ----
  const meaningOf = (name) => one("#sign").dataset[name];
  const give = async (answer, entered) => {
    const here = card();
    if (!here || !answer) return;
    const box = one(".refusal", here);
    await alone(here, async () => {
      clear(box);
      clear(one(".stray"));
      const body = { answer, entered };
      const signed = here.dataset.signed === "true";
      const said = await send(signed ? `${here.dataset.path}/look` : here.dataset.path, body);
      if (!said.ok) {
        const field = one("[data-scan]", here);
        refuse(box, await problemOf(said), here.dataset.kind === "scan" ? "This label is refused" : "Not recorded");
        if (field) { field.value = ""; strokes = []; field.focus({ preventScroll: true }); }
        return;
      }
      if (!signed) { await again(); return; }
      sign({ title: "Sign what you did", words: here.dataset.words, answer: here.dataset.kind === "confirm" ? "Done" : answer.length > 60 ? `${answer.slice(0, 60)}…` : `${answer} ${here.dataset.kind === "number" ? here.dataset.unit || "" : ""}`, path: here.dataset.path, body: { ...body, meaning: meaningOf("performed") } });
    });
  };

  // ---- signing: whoever signs proves it now; another person than the one signed in gets a session for this alone ----
  const bytes = (said) => Uint8Array.from(atob(said.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const authenticator = async (options) => {
    if (!window.PublicKeyCredential || !window.isSecureContext) throw new DOMException("this page was not opened over TLS, or as localhost: browsers keep passkeys from it");
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: (options.allowCredentials || []).map((each) => ({ ...each, id: bytes(each.id) })) };
    const made = await navigator.credentials.get({ publicKey });
    const response = {};
    for (const name of ["clientDataJSON", "authenticatorData", "signature", "userHandle"]) if (made.response[name]) response[name] = base64url(made.response[name]);
    return { id: made.id, rawId: base64url(made.rawId), type: made.type, response };
  };
  const signInWithPasskey = async (token) => {
    const question = await send("/api/sign-in/passkey/question", {}, token);
    return question.ok ? send("/api/sign-in/passkey", { passkey: await authenticator(await question.json()) }, token) : question;
  };
  // A session of their own for whoever acts, ended right after; `act(token)` gives its answer.
  const asPerson = async (signIn, act) => {
    const session = await signIn();
    if (!session.ok) return session;
    const said = await session.json();
    try { return await act(said.token, said); } finally { send("/api/sign-out", {}, said.token).catch(() => {}); }
  };
  const withPassword = (form, path, body) => {
    const person = form.elements.person.value.trim().toUpperCase(), password = form.elements.password.value;
    return asPerson(() => send("/api/sign-in", { person, password }, ""), (token) => send(path, { ...body, person, password }, token));
  };
  const withPasskey = (path, body, signs) => asPerson(() => signInWithPasskey(""), async (token) => {
    if (!signs) return send(path, body, token);
    const question = await send(path, { ...body, passkey: "ask" }, token);
    return question.status === 202 ? send(path, { ...body, passkey: await authenticator((await question.json()).options) }, token) : question;
  });
  const finish = async (dialog, answer) => {
    if (!answer.ok) {
      refuse(one(".refusal", dialog), await problemOf(answer));
      const secret = one("input[type=password]", dialog);
      secret.value = "";
      secret.focus();
      return;
    }
    dialog.close();
    if (act && act.enter) await look(false); // what was begun goes on
    else await again();
  };
  const open = (id, slots) => {
    const dialog = one(id);
    one("form", dialog).reset();
    clear(one(".refusal", dialog));
    for (const [name, words] of Object.entries(slots || {})) { const slot = one(`[data-slot=${name}]`, dialog); if (slot) slot.textContent = words; }
    if (!dialog.open) dialog.showModal();
    return dialog;
  };
  let act = null;
  const sign = ({ title, words, answer, path, body }) => {
    act = { path, body, signs: true };
    const dialog = open("#sign", { title, words, answer, meaning: `Your signature means: ${body.meaning}.` });
    one("input[name=person]", dialog).focus();
  };
  const enter = (words) => {
    if (one("#enter")?.open) return;
    for (const each of all("dialog[open]")) each.close();
    act = { enter: true };
    const dialog = open("#enter", { said: words });
    one("[data-close]", dialog).hidden = true; // nobody is signed in: there is nothing to go back to
    one("input[name=person]", dialog).focus();
  };
  const undone = (dialog, is) => {
    one(".right", dialog).hidden = is;
    one("[data-slot=choices]", dialog).hidden = is;
    one("input[name=answer]", dialog).required = !is;
    act.path = act.path.replace(/(withdrawal|correction)$/, is ? "withdrawal" : "correction");
  };
  document.addEventListener("change", (event) => { if (event.target.name === "undo") undone(event.target.closest("dialog"), event.target.checked); });
  const bodyOf = (dialog) => {
    const form = one("form", dialog), body = { ...act.body };
    if (act.path.endsWith("/withdrawal")) return { meaning: body.meaning, why: form.elements.why.value.trim() };
    if (dialog.id === "correct") body.entered = act.entered || "typed";
    if (form.elements.value) body.value = `${form.elements.value.value.trim().replace(/^(-?\d+),(\d+)$/, "$1.$2")} ${act.unit}`;
    for (const name of ["why", "answer"]) if (form.elements[name]) body[name] = form.elements[name].value.trim();
    return body;
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target, dialog = form.closest("dialog");
    if (form.dataset.post) return;
    event.preventDefault();
    if (form.matches(".way")) {
      const field = one("input[name=answer]", form);
      const fast = field.dataset.scan && byScanner();
      const answer = field.value.trim();
      strokes = [];
      await give(answer, fast ? "scanned" : "typed");
      return;
    }
    if (form.matches(".start")) { await start(form); return; }
    if (!dialog || dialog.id === "commands") return;
    await alone(dialog, async () => {
      if (act.enter) {
        const person = form.elements.person.value.trim().toUpperCase();
        const said = await send("/api/sign-in", { person, password: form.elements.password.value });
        if (said.ok && (await said.clone().json()).renew) { location.assign("/password"); return; }
        await finish(dialog, said);
        return;
      }
      await finish(dialog, await withPassword(form, act.path, bodyOf(dialog)));
    });
  });

  document.addEventListener("click", async (event) => {
    const target = event.target instanceof Element ? event.target.closest("button, a") : null;
    if (!target) return;
    const here = card();
    if (target.dataset.answer) { await give(target.dataset.answer, target.dataset.entered); return; }
    if (target.dataset.key) {
      const field = one("input[data-number]");
      const key = target.dataset.key;
      if (key === "back") field.value = field.value.slice(0, -1);
      else if (key === "−") field.value = field.value.startsWith("-") ? field.value.slice(1) : `-${field.value}`;
      else if (!(key === "." && field.value.includes("."))) field.value += key;
      clear(one(".refusal", here));
      return;
    }
    if ("typeInstead" in target.dataset) {
      const field = one("[data-scan]", here);
      field.removeAttribute("inputmode");
      field.placeholder = "Type the line below the code";
      target.closest(".way").classList.add("typing");
      field.blur();
      field.focus();
      return;
    }
    if (target.dataset.pick) { work.dataset.task = target.dataset.pick; shown = ""; for (const each of all("input", work)) each.value = ""; await look(true); scrollTo(0, 0); return; }
    if (target.dataset.witness !== undefined) {
      sign({ title: "Sign as the second person", words: here.dataset.words, answer: target.dataset.witness, path: `${here.dataset.path}/witness`, body: { meaning: meaningOf("witnessed") } });
      return;
    }
    if ("decline" in target.dataset) { act = { path: `${here.dataset.path}/decline`, body: {}, signs: false, decline: true }; open("#decline"); return; }
    if (target.dataset.correct) {
      const dialog = open("#correct", { words: target.dataset.words, was: target.dataset.was });
      act = { path: target.dataset.correct, body: { meaning: dialog.dataset.meaning, entered: "typed" }, signs: true };
      const undo = one("input[name=undo]", dialog), only = target.dataset.kind === "confirm";
      one(".undo", dialog).hidden = !target.dataset.current;
      undo.checked = only;
      undone(dialog, only);
      const choices = (target.dataset.choices || "").split("\n").filter(Boolean);
      one("[data-slot=choices]", dialog).replaceChildren(...choices.map((each) => { const made = document.createElement("button"); made.type = "button"; made.className = "second chip"; made.dataset.fill = each; made.textContent = each; return made; }));
      return;
    }
    if (target.dataset.fill) { act.entered = "chosen"; one("#correct input[name=answer]").value = target.dataset.fill; return; }
    if (target.dataset.reason) { one("input[name=why]", target.closest("dialog")).value = target.dataset.reason; return; }
    if (target.dataset.dialog) { act = {}; const dialog = open(target.dataset.dialog); try { await control(); } catch { refuse(one(".refusal", dialog), LOST); } return; }
    if (target.dataset.formula) {
      const { formula, name, was, unit, limits } = target.dataset, why = one("#commands input[name=why]").value;
      one("#commands").close();
      const dialog = open("#formula", { name, was, limits, unit: `New value in ${unit}` });
      act = { path: formula, body: { meaning: dialog.dataset.meaning }, signs: true, unit };
      one("input[name=why]", dialog).value = why;
      return;
    }
    if (target.dataset.command) {
      const dialog = target.closest("dialog"), form = one("form", dialog);
      if (!form.reportValidity()) return;
      if (target.classList.contains("grave") && !("sure" in target.dataset)) { // a glove brushes over a screen
        const words = target.textContent;
        target.dataset.sure = "";
        target.textContent = `Press again: ${words.toLowerCase()}`;
        setTimeout(() => { delete target.dataset.sure; target.textContent = words; }, 4000);
        return;
      }
      await alone(dialog, async () => {
        const answer = await send(target.dataset.path, { ...JSON.parse(target.dataset.body), why: form.elements.why.value.trim() });
        if (answer.ok) { dialog.close(); await again(); } else refuse(one(".refusal", dialog), await problemOf(answer));
      });
      return;
    }
    if ("handOver" in target.dataset) { await fetch("/api/sign-out", { method: "POST" }).catch(() => {}); enter("You are signed out. The next person signs in."); return; }
    if ("look" in target.dataset) { const form = target.closest("form"); if (form.reportValidity()) await alone(form, () => gate(form)); return; }
    if (target.dataset.withPasskey) {
      const dialog = target.closest("dialog");
      const typed = all("input[name=person], input[name=password]", dialog);
      typed.forEach((each) => { each.required = false; });
      const whole = one("form", dialog).reportValidity();
      typed.forEach((each) => { each.required = true; });
      if (whole) await alone(dialog, async () => finish(dialog, await (act.enter ? signInWithPasskey() : withPasskey(act.path, bodyOf(dialog), act.signs))));
    }
  });
  for (const dialog of all("dialog")) {
    dialog.addEventListener("cancel", (event) => { if (act && act.enter) event.preventDefault(); });
    dialog.addEventListener("close", ready);
  }

  // ---- starting a batch: every note of the gate at once ----
  const patientOf = (said) => (/^ISOGENIC:PATIENT:([^:]+):/.exec(said.trim().toUpperCase()) || [null, said.trim().toUpperCase()])[1]; // a label, or its code
  const bodyOfStart = (form) => {
    const [recipe, version] = form.elements.recipe.value.split("/");
    return { recipe, version: Number(version), unit: form.elements.unit.value, lot: form.elements.lot.value.trim().toUpperCase(), patient: patientOf(form.elements.patient.value) };
  };
  const gate = async (form) => {
    const box = one(".gate", form);
    clear(one(".refusal", form));
    const answer = await send("/api/batches/look", bodyOfStart(form));
    if (!answer.ok) { box.replaceChildren(); refuse(one(".refusal", form), await problemOf(answer)); return false; }
    const notes = await answer.json();
    box.replaceChildren(...notes.map((each) => {
      const made = document.createElement("p");
      made.className = each.severity === "stop" ? "note stop" : "note";
      const said = document.createElement("b");
      said.textContent = each.severity === "stop" ? "Stands against it: " : each.severity === "warn" ? "Mind: " : "✓ ";
      made.append(said, each.text, each.severity === "stop" && each.owner ? ` For: ${each.owner.replace(/_/g, " ")}.` : "");
      return made;
    }));
    return !notes.some((each) => each.severity === "stop");
  };
  const start = (form) => alone(form, async () => {
    const free = await gate(form), body = bodyOfStart(form);
    const answer = await send("/api/batches", body); // asked for in any case: a refusal is on record, with its reasons
    if (answer.ok) { location.assign(`/units/${body.unit}`); return; }
    const problem = await problemOf(answer);
    refuse(one(".refusal", form), free ? problem : { why: "what stands against it is below; the attempt is on record" }, "Not started");
  });

  if (work) {
    ready();
    look(false);
    setInterval(() => look(false), POLL_MS);
    setInterval(tick, 250);
  } else ready();
})();
