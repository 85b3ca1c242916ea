// Ways between the page and the reader, whose pages have no script: a link into a document says where it stood, and the
// reader's link back finds this window by its name, so that nothing is loaded anew where the window is still open.
(() => {
  const KEY = "mlx-tutor conversation " + location.pathname;
  const TALK = /^talk\.([\w-]{1,40})\.(\d{1,4})$/;
  const TAB = /^tab\.([A-Za-z ]{1,20})$/;
  const find = (selector) => document.querySelector(selector);
  const tabs = () => [...document.querySelectorAll("button[role=tab]")];
  const answers = () => [...document.querySelectorAll("#chat .bot.message")];
  const readName = () => find("#talk textarea, #talk input")?.value || "";
  window.name = "tutor:" + location.pathname;

  function nameTab() {
    const open = tabs().find((tab) => tab.getAttribute("aria-selected") === "true");
    return open ? "tab." + open.textContent.trim() : "";
  }

  // Where a link stands: at an answer of the conversation, or in another tab.
  function place(link) {
    if (!link.closest("#chat, #sources") || !readName()) return nameTab();
    const own = answers().findIndex((answer) => answer.contains(link));
    return "talk." + readName() + "." + Math.max(0, own < 0 ? answers().length - 1 : own);
  }

  function leave(event) {
    const link = event.target.closest?.("a[href]");
    if (!link) return;
    const address = new URL(link.href, location.href);
    const folder = new URL("read/", location.href);
    if (address.origin !== location.origin || !address.pathname.startsWith(folder.pathname)) return;
    address.searchParams.set("from", place(link));
    link.href = address.href;
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    // With an opener, which a link has not: else the way back would not find this window.
    window.open(address.href, "_blank");
  }
  document.addEventListener("click", leave, true);
  document.addEventListener("auxclick", leave, true);

  function openTab(name) {
    tabs().find((tab) => tab.textContent.trim() === name)?.click();
  }

  function scroll(number, tries) {
    const answer = answers()[number];
    if (answer && readName()) answer.scrollIntoView({ block: "center" });
    else if (tries) setTimeout(scroll, 100, number, tries - 1);
  }

  function read() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const found = [TALK.exec(wanted), TAB.exec(wanted)];
    if (found[0] || found[1]) history.replaceState(null, "", location.pathname + location.search);
    return found;
  }

  // The window was open all the while: it is as it was left.
  window.addEventListener("hashchange", () => {
    const [talk, tab] = read();
    if (tab) openTab(tab[1]);
    if (!talk) return;
    if (talk[1] === readName()) {
      openTab("Chat");
      return;
    }
    // As the last thing: until then the page notes the conversation that it shows.
    window.addEventListener("pagehide", () => sessionStorage.setItem(KEY, talk[1]));
    location.reload();
  });

  // The window is new: it begins with that conversation, or tab.
  const [talk, tab] = read();
  if (talk) {
    sessionStorage.setItem(KEY, talk[1]);
    setTimeout(scroll, 100, Number(talk[2]), 300);
  }
  if (tab) {
    const wait = (tries) => {
      if (tabs().length && readName()) openTab(tab[1]);
      else if (tries) setTimeout(wait, 100, tries - 1);
    };
    wait(300);
  }
})();
