// Isogenic's own browser parts: trends, forms, and signs of life. No framework, no build.
(() => {
  "use strict";
  if (window.isogenic) return;
  const SVG = "http://www.w3.org/2000/svg";
  const text = (value) => (value === null || value === undefined ? "" : String(value));

  // ---- numbers as people read them ----
  const figure = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    const size = Math.abs(value);
    if (size >= 1000) return value.toFixed(0);
    if (size >= 100) return value.toFixed(0);
    if (size >= 10) return value.toFixed(1);
    return value.toFixed(2);
  };
  const between = (value, span) => {
    if (value === null || value === undefined) return "–";
    const digits = span > 0 ? Math.min(3, Math.max(0, 1 - Math.floor(Math.log10(span)))) : 2;
    return value.toFixed(digits);
  };
  const UNITS = { "1": "", degC: "°C", "1e6 cell/mL": "10⁶ cells/mL", pH: "" };
  const unitOf = (unit) => (unit in UNITS ? UNITS[unit] : unit);
  const ticks = (low, high) => {
    const span = high - low || 1;
    const rough = span / 4, power = Math.pow(10, Math.floor(Math.log10(rough)));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + 1e-9; at += step) found.push(Number(at.toPrecision(10)));
    return found;
  };

  const element = (name, attributes, parent) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (parent) parent.appendChild(made);
    return made;
  };
  const html = (name, cls, parent, content) => {
    const made = document.createElement(name);
    if (cls) made.className = cls;
    if (content !== undefined) made.textContent = content;
    if (parent) parent.appendChild(made);
    return made;
  };

  // ---- one variable against its reference band ----
  const LASTS = 3; // points outside in a row before it is worth a colour: one is noise
  const GAP = 8; // times the usual distance between points: what is farther apart was not seen in between, and no line is drawn there
  const LEFT = 40, BOTTOM = 18, TOP = 9, RIGHT = 8;
  class Plot {
    constructor(parent, trend, maturity, unit) {
      this.unit = unit;
      this.trend = trend;
      this.maturity = maturity;
      this.points = [];
      this.box = html("section", "trend", parent);
      const head = html("header", "", this.box);
      html("span", "name", head, trend.title);
      this.value = html("span", "value", head, "–");
      html("span", "unit", head, unitOf(trend.unit));
      this.where = html("div", "where", this.box, "");
      this.svg = element("svg", { class: "plot", role: "img", "aria-label": trend.title + " over batch maturity" });
      this.box.appendChild(this.svg);
    }

    add(hours, value) {
      if (value === null || value === undefined || hours === null || hours === undefined) return;
      this.points.push([hours, value]);
    }

    // The points in runs without a gap.
    pieces() {
      const steps = this.points.slice(1).map((each, at) => each[0] - this.points[at][0]).sort((a, b) => a - b);
      const most = steps.length > 4 ? GAP * steps[steps.length >> 1] : Infinity;
      const found = [[]];
      this.points.forEach((each, at) => {
        if (at && each[0] - this.points[at - 1][0] > most) found.push([]);
        found[found.length - 1].push(each);
      });
      return found;
    }

    band(hours) {
      const at = this.maturity;
      if (!at.length || hours < at[0] || hours > at[at.length - 1]) return null;
      let low = 0, high = at.length - 1;
      while (high - low > 1) { const middle = (low + high) >> 1; if (at[middle] <= hours) low = middle; else high = middle; }
      const share = (hours - at[low]) / (at[high] - at[low] || 1);
      const mix = (line) => (line[low] === null || line[high] === null ? null : line[low] + share * (line[high] - line[low]));
      return [mix(this.trend.low), mix(this.trend.high)];
    }

    outside([hours, value]) {
      const band = this.band(hours);
      return band !== null && band[0] !== null && (value < band[0] || value > band[1]);
    }

    draw(end) {
      const width = this.svg.clientWidth || 300, height = this.svg.clientHeight || 112;
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.replaceChildren();
      const { trend, maturity, points } = this;
      const values = points.map((each) => each[1]);
      // The band's widest few maturities (a step of the recipe) must not flatten everything else; what lies beyond is cut at the frame.
      const share = (line, part) => { const sorted = line.filter((each) => each !== null).sort((one, other) => one - other); return sorted.length ? [sorted[Math.round(part * (sorted.length - 1))]] : []; };
      const known = [...values.filter((each) => each !== null), ...share(trend.low, 0.02), ...share(trend.high, 0.98)];
      if (!known.length) return;
      let low = known.reduce((one, other) => Math.min(one, other)), high = known.reduce((one, other) => Math.max(one, other));
      const air = (high - low || Math.abs(high) || 1) * 0.06;
      low -= air; high += air;
      const first = maturity.length ? Math.min(maturity[0], 0) : (points[0] || [0])[0];
      const last = Math.max(end, maturity.length ? maturity[maturity.length - 1] : 0, first + 1);
      const x = (hours) => LEFT + ((hours - first) / (last - first)) * (width - LEFT - RIGHT);
      const y = (value) => Math.min(height - BOTTOM, Math.max(TOP, TOP + (1 - (value - low) / (high - low)) * (height - TOP - BOTTOM)));
      const path = (pairs) => pairs.map(([a, b], at) => `${at ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
      if (maturity.length) {
        const ups = maturity.map((each, at) => [each, trend.high[at]]).filter((each) => each[1] !== null);
        const downs = maturity.map((each, at) => [each, trend.low[at]]).filter((each) => each[1] !== null).reverse();
        element("path", { class: "band", d: path([...ups, ...downs]) + "Z" }, this.svg);
        element("path", { class: "mean", d: path(maturity.map((each, at) => [each, trend.mean[at]]).filter((each) => each[1] !== null)) }, this.svg);
      }
      element("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: height - BOTTOM, y2: height - BOTTOM }, this.svg);
      for (const tick of ticks(low, high)) {
        element("text", { class: "tick", x: LEFT - 6, y: y(tick) + 3.5, "text-anchor": "end" }, this.svg).textContent = text(tick);
      }
      const day = this.unit === "h" ? 24 : 1, whole = this.unit === "h" ? "d" : this.unit; // hours are read as days; another indicator is read as it is
      const days = (last - first) / day, every = this.unit === "h" ? (days > 20 ? 4 : days > 8 ? 2 : 1) : ticks(first, last).reduce((least, each) => (each > 0 ? Math.min(least, each) : least), Infinity) || 1;
      for (let at = 0; at * day <= last + 1e-9; at += every) {
        const shown = text(Number(at.toPrecision(6)));
        element("line", { class: "axis", x1: x(at * day), x2: x(at * day), y1: height - BOTTOM, y2: height - BOTTOM + 4 }, this.svg);
        element("text", { class: "tick", x: x(at * day), y: height - 2, "text-anchor": "middle" }, this.svg).textContent = (at + every) * day > last ? `${shown} ${whole}` : shown;
      }
      if (!points.length) return;
      for (const piece of this.pieces()) element("path", { class: "line", d: path(piece) }, this.svg);
      let run = [];
      const flush = () => { if (run.length >= LASTS) element("path", { class: "line outside", d: path(run) }, this.svg); run = []; };
      for (const point of points) { if (this.outside(point)) run.push(point); else flush(); }
      flush();
      const newest = points[points.length - 1];
      element("circle", { class: "dot", cx: x(newest[0]), cy: y(newest[1]), r: 3.2 }, this.svg);
    }

    say() {
      const newest = this.points[this.points.length - 1];
      const band = newest ? this.band(newest[0]) : null;
      const known = band !== null && band[0] !== null;
      const span = known ? band[1] - band[0] : 0;
      const out = this.points.length >= LASTS && this.points.slice(-LASTS).every((each) => this.outside(each));
      this.value.textContent = !newest ? "–" : known ? between(newest[1], span) : figure(newest[1]);
      this.box.classList.toggle("out", out);
      const usual = known ? `${between(band[0], span)} to ${between(band[1], span)}` : "";
      if (!newest) this.where.textContent = "no reading yet";
      else if (!known) this.where.textContent = "no reference at this maturity";
      else if (out) this.where.textContent = newest[1] > band[1] ? `▲ above ${usual}` : `▼ below ${usual}`;
      else this.where.textContent = `usual ${usual}`;
    }
  }

  // ---- how far a statistic is from its limit ----
  class Gauge {
    constructor(parent, name, words) {
      this.box = html("section", "gauge", parent);
      const head = html("header", "", this.box);
      html("span", "name", head, name);
      html("span", "words", head, words);
      this.value = html("b", "", head, "–");
      this.fill = html("div", "fill", html("div", "track", this.box));
      html("div", "limit", this.fill.parentElement);
      const scale = html("div", "scale", this.box);
      for (const words of ["0", "limit", "2 ×"]) html("span", "", scale, words);
      this.fill.style.width = "0";
    }

    show(ratio) {
      const known = ratio !== null && ratio !== undefined;
      this.fill.style.width = known ? Math.min(100, ratio * 50) + "%" : "0";
      this.box.classList.toggle("over", known && ratio > 1);
      this.value.textContent = !known ? "not judged" : ratio > 1 ? `${ratio.toFixed(2)} × limit, over` : `${ratio.toFixed(2)} × limit`;
    }
  }

  // <iso-trends batch site unit since only columns live>
  class Trends extends HTMLElement {
    async connectedCallback() {
      if (this.began) return;
      this.began = true;
      const answer = await fetch(`/api/batches/${this.getAttribute("batch")}/trends`);
      if (!answer.ok) { html("p", "empty", this, "The trends cannot be read now."); return; }
      this.build(await answer.json());
    }

    disconnectedCallback() {
      if (this.source) this.source.close();
      if (this.watcher) this.watcher.disconnect();
      this.source = undefined;
    }

    build(reference) {
      const only = this.getAttribute("only");
      if (!this.hasAttribute("bare")) {
        this.gauges = html("div", "gauges", this);
        this.t2 = new Gauge(this.gauges, "T²", "within the usual pattern");
        this.spe = new Gauge(this.gauges, "SPE", "away from the usual pattern");
        if (!this.hasAttribute("live")) this.gauges.remove();
      }
      const wall = html("div", "wall", this);
      this.plots = reference.trends.filter((each) => !only || only.split(",").includes(each.name)).map((each) => new Plot(wall, each, reference.maturity, reference.maturity_unit));
      const said = html("div", "foot", this);
      const key = html("span", "key", said);
      for (const [cls, words] of [["now", "this batch"], ["", "95 % of good batches"], ["typical", "their mean"]]) {
        const item = html("span", "", key);
        html("i", cls, item);
        item.append(words);
      }
      this.said = html("span", "", said, reference.model ? `Reference: ${reference.model}` : "No reference model is released for this product.");
      this.end = 0;
      this.take(reference.points);
      this.watcher = new ResizeObserver(() => this.redraw());
      this.watcher.observe(this);
      if (this.hasAttribute("live")) this.listen();
    }

    listen() {
      const since = this.getAttribute("since");
      const query = since ? "?from=" + encodeURIComponent(since) : "";
      this.source = new EventSource(`/api/live/${this.getAttribute("site")}/${this.getAttribute("unit")}${query}`);
      this.source.addEventListener("points", (event) => this.take(JSON.parse(event.data)));
    }

    take(points) {
      for (const { at, values } of points) {
        if (this.newest && at <= this.newest) continue;
        this.newest = at;
        const hours = values.maturity;
        for (const plot of this.plots) plot.add(hours, values[plot.trend.name]);
        if (hours !== null && hours !== undefined) this.end = Math.max(this.end, hours);
        if (this.t2) { this.t2.show(values.t2); this.spe.show(values.spe); }
      }
      this.redraw();
    }

    redraw() {
      if (this.waiting) return;
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        for (const plot of this.plots || []) { plot.draw(this.end); plot.say(); }
        this.dataset.drawn = String((this.plots || []).reduce((sum, each) => sum + each.points.length, 0));
      });
    }
  }
  customElements.define("iso-trends", Trends);

  // <iso-follow src>: a part of a page that is asked for again, and left alone while somebody writes in it
  const FOLLOW_MS = 2000;
  class Follow extends HTMLElement {
    connectedCallback() { this.timer = setInterval(() => this.look(), FOLLOW_MS); this.shown = ""; }
    disconnectedCallback() { clearInterval(this.timer); }
    writing() {
      return [...this.querySelectorAll("input:not([type=hidden]), textarea")].some((each) => each === document.activeElement || each.value) || this.querySelector(".refusal.shown");
    }
    async look() {
      if (document.hidden || this.writing()) return;
      try {
        const answer = await fetch(this.getAttribute("src"));
        if (answer.status === 401) { location.assign("/sign-in"); return; }
        const content = await answer.text();
        if (answer.ok && content !== this.shown && !this.writing()) { this.innerHTML = content; this.shown = content; }
      } catch { /* the node does not answer now; the next look may find it */ }
    }
  }
  customElements.define("iso-follow", Follow);

  // ---- forms: <form data-post="/api/..." data-then="/where"> sends its fields as JSON; a refusal is shown where it happened ----
  const refusalOf = (form) => {
    let box = form.querySelector(".refusal");
    if (!box) { box = html("div", "refusal"); box.setAttribute("role", "alert"); form.prepend(box); }
    return box;
  };
  const refuse = (form, problem) => {
    const box = refusalOf(form);
    box.replaceChildren();
    const first = text(problem.what) || "The request was refused";
    html("b", "", box, first.charAt(0).toUpperCase() + first.slice(1));
    if (problem.why) html("span", "", box, "Why: " + problem.why);
    if (problem.possible) html("span", "", box, "Possible: " + problem.possible);
    box.classList.add("shown");
  };
  // A field with data-in-path is no part of the body: it stands in the path, as in data-post="/api/people/{whom}/competences".
  const inPath = (form, name) => { const field = form.elements.namedItem(name); return field instanceof HTMLElement && "inPath" in field.dataset; };
  const postOf = (form) => form.dataset.post.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(new FormData(form).get(name) || ""));
  const bodyOf = (form) => {
    const body = {};
    for (const [name, value] of new FormData(form)) if (!inPath(form, name)) body[name] = value;
    for (const other of document.querySelectorAll(form.dataset.with || "iso-none")) for (const [name, value] of new FormData(other)) body[name] = value;
    return body;
  };
  const ask = (path, body) => fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const given = async (form, answer) => {
    const made = form.querySelector("[data-made]");
    if (made) { made.replaceChildren(); for (const [name, value] of Object.entries(await answer.json())) if (made.dataset.made.split(" ").includes(name)) { html("dt", "", made, name); html("dd", "", made, value); } made.hidden = false; return; }
    const said = answer.status === 200 && form.dataset.post.startsWith("/api/sign-in") ? await answer.json() : {};
    if (said.renew) { location.assign("/password"); return; }
    const then = form.dataset.then;
    if (then) location.assign(then); else location.reload();
  };
  // What a form does, with its buttons off meanwhile; `work` gives the last answer.
  const during = async (form, work) => {
    const buttons = form.querySelectorAll("button");
    buttons.forEach((each) => { each.disabled = true; });
    refusalOf(form).classList.remove("shown");
    try {
      const answer = await work();
      if (answer.ok) { await given(form, answer); return; }
      refuse(form, await answer.json());
      const secret = form.querySelector("input[type=password]");
      if (secret) { secret.value = ""; secret.focus(); }
    } catch (trouble) {
      if (trouble instanceof DOMException) refuse(form, { what: "the passkey did not answer", why: trouble.message, possible: "try again, or use your password" });
      else refuse(form, { what: "no answer from this node", why: "the connection was lost", possible: "try again in a moment" });
    } finally {
      buttons.forEach((each) => { each.disabled = false; });
    }
  };

  // ---- passkeys (WebAuthn): the node says what is to be asked, the authenticator answers, the node judges ----
  const bytes = (said) => Uint8Array.from(atob(said.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const base64url = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const withIds = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));
  const able = () => {
    if (window.PublicKeyCredential && window.isSecureContext) return;
    throw new DOMException("this page was not opened over TLS, or as localhost: browsers keep passkeys from it");
  };
  const fromAuthenticator = (made, names) => {
    const response = {};
    for (const name of names) if (made.response[name]) response[name] = base64url(made.response[name]);
    return { id: made.id, rawId: base64url(made.rawId), type: made.type, response };
  };
  const sign = async (options) => {
    able();
    const publicKey = { ...options, challenge: bytes(options.challenge), allowCredentials: withIds(options.allowCredentials) };
    return fromAuthenticator(await navigator.credentials.get({ publicKey }), ["clientDataJSON", "authenticatorData", "signature", "userHandle"]);
  };
  const make = async (options) => {
    able();
    const publicKey = { ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: withIds(options.excludeCredentials) };
    return fromAuthenticator(await navigator.credentials.create({ publicKey }), ["clientDataJSON", "attestationObject"]);
  };
  const signIn = async () => {
    const question = await ask("/api/sign-in/passkey/question", {});
    return question.ok ? ask("/api/sign-in/passkey", { passkey: await sign(await question.json()) }) : question;
  };
  const signWith = async (form) => {
    const body = bodyOf(form);
    delete body.password; delete body.person;
    const question = await ask(postOf(form), { ...body, passkey: "ask" });
    if (question.status !== 202) return question;
    return ask(postOf(form), { ...body, passkey: await sign((await question.json()).options) });
  };
  const enrol = async (form) => {
    const question = await ask("/api/passkeys/question", {});
    return question.ok ? ask(form.dataset.post, { ...bodyOf(form), passkey: await make(await question.json()) }) : question;
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.post) return;
    event.preventDefault();
    await during(form, () => ("enrol" in form.dataset ? enrol(form) : ask(postOf(form), bodyOf(form))));
  });
  document.addEventListener("click", async (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const opener = target.closest("[data-open]");
    if (opener) {
      const needs = document.querySelector(opener.dataset.needs || "iso-none");
      if (needs && !needs.reportValidity()) return;
      const dialog = document.querySelector(opener.dataset.open);
      for (const slot of dialog.querySelectorAll("[data-from]")) {
        const source = document.querySelector(slot.dataset.from);
        slot.textContent = source ? (source.dataset.words || source.value) : "";
      }
      dialog.showModal();
      return;
    }
    const passkey = target.closest("[data-passkey]");
    if (passkey) {
      const form = passkey.closest("form");
      if (passkey.dataset.passkey === "sign-in") { await during(form, signIn); return; }
      const typed = [...form.querySelectorAll("[data-typed]")]; // id and password: what the passkey stands for
      typed.forEach((each) => { each.required = false; });
      const whole = form.reportValidity();
      typed.forEach((each) => { each.required = true; });
      if (whole) await during(form, () => signWith(form));
      return;
    }
    if (target.closest("[data-close]")) { target.closest("dialog").close(); return; }
    const row = target.closest("tr[data-href]");
    if (row && !target.closest("a, button, input, label")) { location.assign(row.dataset.href); return; }
    if (target.closest("[data-sign-out]")) {
      await fetch("/api/sign-out", { method: "POST" });
      location.assign("/sign-in");
    }
  });

  // ---- signs of life: somebody is at the screen, so the session goes on ----
  let told = Date.now();
  const alive = () => {
    if (Date.now() - told < 60000 || document.body.classList.contains("door")) return;
    told = Date.now();
    fetch("/api/me").then((answer) => { if (answer.status === 401 && !document.body.classList.contains("steps")) location.assign("/sign-in"); }).catch(() => {});
  };
  for (const kind of ["pointermove", "keydown", "touchstart"]) document.addEventListener(kind, alive, { passive: true });

  window.isogenic = { figure };
})();
