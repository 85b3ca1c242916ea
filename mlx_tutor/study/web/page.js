// Keys of the composer, text that is typed and not sent, and what Gradio gives no names to. No library, no request elsewhere.
window.tutor = (() => {
  const KEY = "mlx-tutor conversation " + location.pathname;
  const WAIT = 400;
  const find = (selector) => document.querySelector(selector);
  const box = () => find("#question textarea");
  const readName = () => find("#talk textarea, #talk input")?.value || "";
  let typed = null;
  let timer = 0;
  // Typed before the page knew its conversation, whose draft is then put into the box.
  let early = null;

  function press(selector) {
    const button = find(selector);
    if (button && !button.disabled) button.click();
  }

  // `leaving`: the browser sends it even though the page is gone.
  function keep(leaving) {
    clearTimeout(timer);
    if (typed === null) return;
    const body = JSON.stringify(typed);
    typed = null;
    fetch("conversations/draft", {
      method: "POST", body, keepalive: leaving && body.length < 60000, headers: { "Content-Type": "application/json" },
    }).catch(() => {});
  }

  function forget() {
    clearTimeout(timer);
    typed = null;
  }

  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    if (!readName()) {
      early = event.target.value;
      return;
    }
    typed = { id: readName(), text: event.target.value };
    clearTimeout(timer);
    timer = setTimeout(keep, WAIT, false);
  });

  document.addEventListener("change", (event) => {
    if (event.target.closest("#figures")) showFigures(event.target.checked);
  });

  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const asking = event.target === box();
    if (event.key === "Escape" && find("#stop")) press("#stop");
    else if (asking && event.key === "ArrowUp" && event.target.value === "") press("#recall");
  }, true);

  // What is sent is no draft any more; the server keeps what it puts back into the box.
  document.addEventListener("click", (event) => {
    if (event.target.closest("#ask")) forget();
    else if (event.target.closest("#new, #list, #delete, #undelete")) keep(false);
    else if (event.target.closest("#talks-toggle")) toggle();
    if (event.target.closest("#new")) setTimeout(() => box()?.focus(), WAIT);
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.target === box() && event.key === "Enter" && !event.shiftKey && find("#ask")) forget();
  }, true);
  window.addEventListener("pagehide", () => keep(true));
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) keep(true);
    else press("#refresh");
  });
  window.addEventListener("focus", () => { if (readName()) press("#refresh"); });

  function restore() {
    if (early === null || !readName()) return;
    const [text, found] = [early, box()];
    early = null;
    if (found.value === text) return;
    found.value = found.value ? `${found.value}\n${text}` : text;
    found.dispatchEvent(new Event("input", { bubbles: true }));
  }
  setInterval(restore, 50);

  function toggle() {
    const opened = find("#chat-row").classList.toggle("listed");
    find("#talks-toggle").setAttribute("aria-expanded", String(opened));
  }

  function name() {
    for (const selector of ["#status", "#compare-status", "#rate-status"]) {
      const found = find(selector);
      if (found && !found.getAttribute("role")) {
        found.setAttribute("role", "status");
        found.setAttribute("aria-live", "polite");
      }
    }
    find("#talks-toggle")?.setAttribute("aria-controls", "talks");
    const shown = readName();
    if (shown) sessionStorage.setItem(KEY, shown);
  }
  setInterval(name, 100);

  function showFigures(wanted) {
    // Gradio puts its own container before every selector of the style sheet, so the class has to be inside it.
    find("#chat-row")?.classList.toggle("figured", wanted);
    localStorage.setItem("mlx-tutor figures", wanted ? "yes" : "");
    return wanted;
  }

  return {
    readTalk: () => sessionStorage.getItem(KEY) || "",
    showFigures,
    readFigures: () => showFigures(localStorage.getItem("mlx-tutor figures") === "yes"),
  };
})();
