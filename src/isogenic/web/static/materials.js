// Forms of materials: <form data-materials="/api/..."> sends its fields as JSON. name[] is a list, a.b is nested, a/b is two fields of one choice.
(() => {
  "use strict";
  const put = (body, name, value) => {
    if (name.includes("/")) { const names = name.split("/"), values = value.split("/"); names.forEach((each, at) => { body[each] = /^\d+$/.test(values[at]) ? Number(values[at]) : values[at]; }); return; }
    if (name.endsWith("[]")) { const list = (body[name.slice(0, -2)] ||= []); list.push(value); return; }
    if (name.includes(".")) { const [outer, inner] = name.split("."); if (value) (body[outer] ||= {})[inner] = value; return; }
    body[name] = value;
  };
  const bodyOf = (form) => {
    const body = {};
    for (const field of form.elements) {
      if (!field.name || (field.type === "checkbox" && !field.checked)) continue;
      const value = field.value.trim();
      if (field.tagName === "TEXTAREA") { for (const each of value.split(/\s+/).filter(Boolean)) put(body, field.name, each); continue; }
      if (value === "" && !field.required) continue;
      put(body, field.name, field.type === "number" ? Number(value) : value);
    }
    return body;
  };
  // A scanner sends FNC1 as the control character GS, which a text field drops: it is kept as the sign for it.
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (field instanceof HTMLInputElement && field.dataset.scan && (event.key === "\x1d" || (event.ctrlKey && event.key === "]"))) { event.preventDefault(); field.setRangeText("␝", field.selectionStart, field.selectionEnd, "end"); }
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.dataset.materials) return;
    event.preventDefault();
    const refusal = form.querySelector(".refusal"), buttons = form.querySelectorAll("button");
    refusal.classList.remove("shown");
    buttons.forEach((each) => { each.disabled = true; });
    try {
      const answer = await fetch(form.dataset.materials, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(bodyOf(form)) });
      if (answer.ok) { location.reload(); return; }
      const said = await answer.json();
      const lines = [said.what || "It was refused", ...String(said.why || "").split(/;\s+/)].filter(Boolean);
      refusal.replaceChildren(...lines.map((text, at) => { const made = document.createElement(at ? "p" : "b"); made.textContent = text; return made; }));
      refusal.classList.add("shown");
      const scan = form.querySelector("[data-scan]");
      if (scan) { scan.select(); scan.focus(); }
    } catch {
      refusal.textContent = "No answer from this site. Try again in a moment.";
      refusal.classList.add("shown");
    } finally { buttons.forEach((each) => { each.disabled = false; }); }
  });
})();
